# Kills or fails flannel's ADD or DEL at each file operation on its state, one after the other, and
# cleans up by DEL or GC alone. Prints what is left, and at the end how many points there were.
# Arguments: VERB HOW RECOVERY; HOW is "signal=KILL" or "error=NAME".
set -u
verb=$1 how=$2 recovery=$3
bin=/opt/cni/bin state=/var/lib/cni/flannel
export CNI_CONTAINERID=web CNI_IFNAME=eth0 CNI_PATH=$bin CNI_ARGS=

call() {
    local verb=$1 conf=/run/conf.json
    shift
    [ "$verb" = GC ] && conf=/run/gc.json
    CNI_COMMAND=$verb "$@" $bin/flannel <$conf >/run/answer 2>/run/complaints
}
must() { call "$@" || echo "point $n: $1 failed: $(tr -d '\n' </run/answer)"; }

left() {
    ls $state | sed 's/^/state /'
    ls /var/lib/cni/networks/cbr0 | grep ^10 | sed 's/^/reservation /'
    ls /run/netd/attachments 2>/dev/null | sed 's/^/record /'
    ip -o link show type veth
    nft list ruleset | grep -o 'elements = .*cbr0.*'
}

n=0 code=137
while :; do
    n=$((n + 1))
    ip netns add web
    export CNI_NETNS=/run/netns/web
    if [ "$verb" = DEL ]; then must ADD; CNI_NETNS=; fi
    : >/run/trace
    { call "$verb" strace -f -qq -o /run/trace -e "inject=all:$how:when=$n" \
        -P $state -P $state/web -P $state/web:cbr0:eth0 -P $state/.web:cbr0:eth0.new; } 2>/dev/null
    code=$?
    case $how in
        signal=*) [ $code = 137 ] || break ;;
        *) grep -q INJECTED /run/trace || break ;;
    esac
    if [ $code = 0 ] && [ "$verb" = ADD ]; then must DEL; fi
    CNI_NETNS=
    case $recovery in
        DEL) must DEL ;;
        GC) must GC ;;
        itself) grep -q 'left behind' /run/answer && must DEL ;;
    esac
    left | sed "s/^/point $n of $verb $how, then $recovery: /"
    ip netns del web
done
# The last one was not cut at all.
[ $code = 0 ] || echo "an undisturbed $verb failed: $(tr -d '\n' </run/answer)"
call DEL
ip netns del web
left
echo "points $((n - 1))"
exit 0
