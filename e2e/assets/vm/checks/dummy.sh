# M1: without a parent, and with --internal, containers reach each other alone; with host_access the host
# reaches them.
netd network create -d macvlan --subnet 10.30.0.0/24 --gateway 10.30.0.1 alone >/dev/null
id=$(netd network inspect -f '{{.ID}}' alone)
same "$(netd network inspect -f '{{.Internal}}' alone)" true
ip -d link show "dm-${id:0:12}" | grep dummy
join alone c1 c2
within 10 pings c1 10.30.0.3
same "$(route c1)" ""
refute pings host 10.30.0.2
for name in c1 c2; do netd network disconnect alone "netns:/run/netns/$name"; done
netd network rm alone
refute ip link show "dm-${id:0:12}"
netd network create -d macvlan --internal -o parent=eth0 -o host_access=true --subnet 10.31.0.0/24 inner >/dev/null
join inner c1
host=$(netd network inspect -f '{{(index .IPAM.Config 0).AuxiliaryAddresses.host}}' inner)
within 10 pings host 10.31.0.2
pings c1 "$host"
kill -9 "$agent"
agent
pings host 10.31.0.2
netd network disconnect inner netns:/run/netns/c1
netd network rm inner
same "$(ip -o link | grep -c 'dm-\|di-\|nh-')" 0
