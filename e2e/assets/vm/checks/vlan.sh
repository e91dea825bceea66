# c7a, c7b in VLAN 7; c8 in VLAN 8, all with addresses of one subnet
conf() {
    echo '{"type": "bridge", "bridge": "br0", "vlan": '"$1"',
        "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}'
}

container c7a c7b c8
attach c7a "$(conf 7)"
attach c7b "$(conf 7)"
attach c8 "$(conf 8)"
c7b=$(address c7b) c8=$(address c8)
pings c7a "$c7b"
refute pings c7a "$c8"

same "$(cat /sys/class/net/br0/bridge/vlan_filtering)" 1
port=$(port c7a)
# an untagged frame of the container is of VLAN 7
pvid=$(bridge -json vlan show dev "$port" | grep -o '{"vlan":[0-9]*,"flags":\["PVID"[^]]*')
same "$pvid" '{"vlan":7,"flags":["PVID","Egress Untagged"'

detach c7b "$(conf 7)"
refute pings c7a "$c7b"
detach c7a "$(conf 7)"
refute ip link show "$port"
