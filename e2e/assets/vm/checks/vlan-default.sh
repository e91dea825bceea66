# Without a word the port is of its own VLAN alone; preserveDefaultVlan leaves it in VLAN 1, too.
conf() {
    echo '{"type": "bridge", "bridge": "br0", "vlan": 7, '"$1"'
        "ipam": {"type": "host-local", "subnet": "10.9.0.0/24"}}'
}
ids() {
    bridge -json vlan show dev "$(port "$1")" | grep -o '"vlan":[0-9]*' | cut -d: -f2 | xargs
}

container c1 c2 c3
attach c1 "$(conf '')"
attach c2 "$(conf '"preserveDefaultVlan": true,')"
same "$(ids c1)" 7
same "$(ids c2)" "1 7"

# Another default of the bridge's owner goes as well.
ip link set br0 type bridge vlan_default_pvid 5
attach c3 "$(conf '')"
same "$(ids c3)" 7
