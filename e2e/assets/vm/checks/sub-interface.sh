# M1: a sub-interface is made for a network, kept, and removed with the last one on it; one of the
# administrator's is used, and stays.
inside wire ip link add link eth0 name eth0.10 type vlan id 10
inside wire ip address add 10.10.0.1/24 dev eth0.10
inside wire ip link set eth0.10 up
netd network create -d macvlan -o parent=eth0.10 --subnet 10.10.0.0/24 --gateway 10.10.0.1 ten >/dev/null
ip -d link show eth0.10 | grep 'vlan protocol 802.1Q id 10'
ip link show eth0.10 | grep '[<,]UP'
join ten c1 c2
within 10 pings c1 10.10.0.1
pings c1 10.10.0.3
same "$(route c1)" "default via 10.10.0.1 dev eth0"
netd network create -d macvlan -o parent=eth0.10 --subnet 10.11.0.0/24 eleven >/dev/null
refute netd network rm ten
netd network disconnect ten netns:/run/netns/c1
netd network disconnect ten netns:/run/netns/c2
same "$(inside c1 ip -o link | wc -l)" 1
netd network rm ten
ip link show eth0.10 >/dev/null
# Somebody takes it away, while netd is there and while it is not.
ip link del eth0.10
within 20 ip link show eth0.10 >/dev/null
kill -9 "$agent"
ip link del eth0.10
agent
within 20 ip link show eth0.10 >/dev/null
netd network rm eleven
refute ip link show eth0.10
ip link add link eth0 name eth0.20 type vlan id 20
ip link set eth0.20 up
netd network create -d macvlan -o parent=eth0.20 --subnet 10.20.0.0/24 twenty >/dev/null
join twenty c1
netd network disconnect twenty netns:/run/netns/c1
netd network rm twenty
ip link show eth0.20 >/dev/null
refute netd network create -d macvlan -o parent=eth0.5000 x
refute netd network create -d macvlan -o parent=eth7.10 x
