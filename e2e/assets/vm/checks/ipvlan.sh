# M2: containers of an ipvlan have the parent's link-layer address; in mode l3 they are routed to, by the
# interface alone. A parent is one network's.
inside wire ip address add 10.40.0.1/24 dev eth0
inside wire ip address add fd40::1/64 dev eth0 nodad
netd network create -d ipvlan -o parent=eth0 --subnet 10.40.0.0/24 --gateway 10.40.0.1 \
    --ipv6 --subnet fd40::/64 --gateway fd40::1 two >/dev/null
refute netd network create -d ipvlan -o parent=eth0 --subnet 10.41.0.0/24 other
refute netd network create -d macvlan -o parent=eth0 --subnet 10.41.0.0/24 other
join two c1 c2
within 10 pings c1 10.40.0.1
pings c1 10.40.0.3
pings c1 fd40::1
pings wire 10.40.0.2
refute pings host 10.40.0.2
mac() {
    inside "$1" ip -o link show eth0 | grep -o 'ether [0-9a-f:]*'
}
same "$(mac c1)" "$(mac host)"
inside c1 ip -d link show eth0 | grep 'ipvlan *mode l2 bridge'
same "$(route c1)" "default via 10.40.0.1 dev eth0"
kill -9 "$agent"
agent
pings c1 10.40.0.3
for name in c1 c2; do
    netd network disconnect two "netns:/run/netns/$name"
    same "$(inside "$name" ip -o link | wc -l)" 1
done
netd network rm two
netd network create -d ipvlan -o parent=eth1 -o ipvlan_mode=l3 -o host_access=true \
    --subnet 10.50.0.0/24 three >/dev/null
host=$(netd network inspect -f '{{(index .IPAM.Config 0).AuxiliaryAddresses.host}}' three)
join three c1 c2
same "$(route c1)" "default dev eth0 scope link"
within 10 pings c1 10.50.0.3
within 10 pings host 10.50.0.2
pings c1 "$host"
for name in c1 c2; do netd network disconnect three "netns:/run/netns/$name"; done
netd network rm three
same "$(ip -o link | grep -c 'nh-')" 0
