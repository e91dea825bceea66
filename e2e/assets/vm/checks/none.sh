container c1
attach c1 '{"type": "none"}'
pings c1 127.0.0.1
same "$(inside c1 ip -brief link | wc -l)" 1
detach c1 '{"type": "none"}'
