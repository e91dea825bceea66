container c1
same "$(inside c1 ip -brief link show lo | tr -s ' ' | cut -d' ' -f2)" DOWN
IFNAME=lo attach c1 '{"type": "loopback"}'
pings c1 127.0.0.1
IFNAME=lo detach c1 '{"type": "loopback"}'
