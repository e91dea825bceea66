conf='{"type": "bridge", "bridge": "br0", "macspoofchk": true,
    "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}'

container c1 c2
attach c1 "$conf"
attach c2 "$conf"
c2=$(address c2)
pings c1 "$c2"
inside c1 ip link set eth0 down
inside c1 ip link set eth0 address 02:00:00:00:00:99 up
refute pings c1 "$c2"
detach c1 "$conf"
detach c2 "$conf"
