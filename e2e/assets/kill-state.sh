# Kills or fails flannel's ADD or DEL at each file operation on its state, and where it starts a
# delegate, one after the other, and cleans up by DEL or GC alone. Prints what is left, and at the end how many points there were.
# Arguments: DELEGATE VERB HOW RECOVERY; HOW is "signal=KILL" or "error=NAME".
#
# Delegate bridge is ours, which has a record beside the state. ptp is the reference's: what it
# reserved is known from the state alone; its links go with the namespace.
set -u
delegate=$1 verb=$2 how=$3 recovery=$4
bin=/opt/cni/bin state=/var/lib/cni/flannel
export CNI_CONTAINERID=web CNI_IFNAME=eth0 CNI_PATH=$bin CNI_ARGS=
files=()
for name in "" /web /web:cbr0:eth0 /.web:cbr0:eth0.new; do files+=(-P "$state$name"); done

call() {
    local verb=$1 conf=/run/conf.json
    shift
    [ "$verb" = GC ] && conf=/run/gc.json
    CNI_COMMAND=$verb "$@" $bin/flannel <$conf >/run/answer 2>/run/complaints
}
must() { call "$@" || echo "$point: $1 failed: $(tr -d '\n' </run/answer)"; }

left() {
    ls $state | sed 's/^/state /'
    ls /var/lib/cni/networks/cbr0 | grep ^10 | sed 's/^/reservation /'
    ls /run/netd/attachments 2>/dev/null | sed 's/^/record /'
    [ $delegate = ptp ] || ip -o link show type veth
    nft list ruleset | grep -o 'elements = .*cbr0.*'
}

# begin: as it is before the call that is cut.
begin() {
    rm -rf $state
    ip netns add web
    export CNI_NETNS=/run/netns/web
    if [ "$verb" = DEL ]; then must ADD; CNI_NETNS=; fi
}

# one SYSCALL NTH: tries one point, and tells whether it was reached.
one() {
    point="$verb by $delegate $how at $1 $2, then $recovery"
    begin
    : >/run/trace
    local only=("${files[@]}")
    case $1 in *fork | clone*) only=() ;; esac
    { call "$verb" strace -f -qq -o /run/trace -e "inject=$1:$how:when=$2" "${only[@]}"; } 2>/dev/null
    local code=$? reached=1
    case $how in
        signal=*) [ $code = 137 ] && reached=0 ;;
        *) grep -q INJECTED /run/trace && reached=0 ;;
    esac
    if [ $code = 0 ] && [ "$verb" = ADD ]; then must DEL; fi
    CNI_NETNS=
    [ $delegate = bridge ] || ip netns del web
    case $recovery in
        DEL) must DEL ;;
        # The reference's ptp refuses it, after flannel's own part is done.
        GC) if [ $delegate = ptp ]; then call GC; else must GC; fi ;;
        itself) grep -q 'left behind' /run/answer && must DEL ;;
    esac
    left 2>/dev/null | sed "s/^/$point: /"
    [ $delegate = ptp ] || ip netns del web
    return $reached
}

point="an undisturbed $verb"
begin
call "$verb" strace -f -qq -o /run/trace "${files[@]}" || echo "$point failed: $(cat /run/answer)"
CNI_NETNS=
must DEL
ip netns del web
left
calls=$(cut -d'(' -f1 /run/trace | awk '{ print $2 }' | sort -u)
if [ $delegate = ptp ]; then calls+=" fork vfork clone clone3"; fi
points=0
for name in $calls; do
    # Past its last one a call is not cut any more.
    nth=1
    while one "$name" $nth; do nth=$((nth + 1)); done
    points=$((points + nth - 1))
done
echo "points $points"
exit 0
