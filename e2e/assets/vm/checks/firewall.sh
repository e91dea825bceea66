# c1, c2 on br1; c3 on br2: same-bridge lets c1 reach c2, and not c3
bridge() {
    echo '{"type": "bridge", "bridge": "br'"$1"'", "isGateway": true, "ipam": {"type": "host-local",
        "subnet": "10.9.'"$1"'.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}'
}
firewall='{"type": "firewall", "ingressPolicy": "same-bridge"}'

container c1 c2 c3
NETWORK=net1 attach c1 "$(bridge 1)" "$firewall"
NETWORK=net1 attach c2 "$(bridge 1)" "$firewall"
NETWORK=net2 attach c3 "$(bridge 2)"
c2=$(address c2) c3=$(address c3)
pings c1 "$c2"
pings c1 "$c3"
result=$(cat /run/results/c3)
NETWORK=net2 cni ADD c3 "$firewall"
refute pings c1 "$c3"
pings c1 "$c2"
pings host "$c3"
for name in c1 c2; do NETWORK=net1 detach $name "$(bridge 1)" "$firewall"; done
NETWORK=net2 detach c3 "$(bridge 2)" "$firewall"
