#!/bin/sh
# Runs a command on a Linux whose control groups are of version 2 with all controllers, which not every machine has:
#   scripts/in-cgroup2.sh COMMAND...
#
# That Linux is a virtual machine with a kernel of its own (scripts/install.sh cgroup2 brings both). It reads this machine's
# files as they are; what it writes is in memory and gone with it, and it has no network but its loopback. The command gets
# this environment, this folder and no input; its output and errors come out here, and its exit code is this one's.
#
# It runs as a service of systemd's does that was given its group: with Delegate=, and DelegateSubgroup=server.
# CGROUP2_GROUP names another group, `/` the one of all. CGROUP2_SECONDS and CGROUP2_MB are what the machine gets.
set -eu

kernel=$(cd "$(dirname "$0")/.." && pwd)/target/cgroup2
seconds=${CGROUP2_SECONDS:-900}
# A kernel that runs on the processor itself has begun long before.
BEGINS_S=15
# Of a kernel that has one of them built in, the file is not there.
modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci netfs fscache 9pnet 9pnet_virtio 9p overlay"

fail() {
    echo "in-cgroup2: $*" >&2
    exit 125
}

[ $# -gt 0 ] || fail "usage: scripts/in-cgroup2.sh COMMAND..."
[ "$(uname -m)" = x86_64 ] || fail "it takes an x86_64 machine: the other one runs this one's programs"
command -v qemu-system-x86_64 >/dev/null || fail "qemu-system-x86_64 is missing: scripts/install.sh cgroup2 installs it"
[ -e "$kernel/vmlinuz" ] || fail "there is no kernel in $kernel: scripts/install.sh cgroup2 puts it there"
run=$(mktemp -d)
vm=
# shellcheck disable=SC2329  # the trap calls it
end() {
    [ -z "$vm" ] || kill "$vm" 2>/dev/null || :
    rm -rf "$run"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What is told and what comes back goes through this folder.
mkdir "$run/told"
quoted() {
    printf %s "$1" | sed "s/'/'\\\\''/g; 1s/^/'/; \$s/\$/'/"
}
{
    export -p
    printf 'cd %s\nexec' "$(quoted "$PWD")"
    for word; do
        if [ -n "$word" ]; then printf ' %s' "$(quoted "$word")"; else printf " ''"; fi
    done
    echo
} >"$run/told/command"
group=${CGROUP2_GROUP:-tenfold.service/server}
printf '%s\n' "${group#/}" >"$run/told/group"

# The first file system: busybox, the modules that the second one takes, and what puts it up.
root=$run/root
mkdir -p "$root/bin" "$root/modules"
cp "$kernel/busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/sh"
at=100
for module in $modules; do
    at=$((at + 1))
    if [ -e "$kernel/$module.ko" ]; then
        cp "$kernel/$module.ko" "$root/modules/$at.ko"
    elif [ -e "$kernel/$module.ko.xz" ]; then
        xz -dc "$kernel/$module.ko.xz" >"$root/modules/$at.ko"
    fi
done
cat >"$root/init" <<'INIT'
#!/bin/sh
export PATH=/bin
busybox mkdir -p /proc /dev /below /over /whole /told
busybox mount -t proc proc /proc
busybox --install -s /bin
mount -t devtmpfs dev /dev
for module in /modules/*; do insmod "$module"; done
shared=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o "$shared" told /told
: >/told/begun
mount -t 9p -o "ro,cache=loose,$shared" below /below
mount -t tmpfs -o size=80% over /over
mkdir /over/upper /over/work
mount -t overlay -o lowerdir=/below,upperdir=/over/upper,workdir=/over/work overlay /whole
mount -t proc proc /whole/proc
mount -t sysfs sys /whole/sys
mount -t devtmpfs dev /whole/dev
mkdir -p /dev/pts /dev/shm
mount -t devpts pts /whole/dev/pts
mount -t tmpfs -o mode=1777 shm /whole/dev/shm
mount -t tmpfs -o mode=755 run /whole/run
cp /told/command /whole/run/command
ip link set lo up

# As systemd does it: each group passes its controllers on, down to the one that is given away.
cd /whole
mount -t cgroup2 cgroup2 sys/fs/cgroup
group=./$(cat /told/group)
mkdir -p "sys/fs/cgroup/$group"
above=sys/fs/cgroup
for part in $(dirname "$(dirname "$group")" | tr / ' '); do
    above=$above/$part
    echo '+cpu +memory +pids' >"$above/cgroup.subtree_control"
done

# Moved, for the kernel lets nobody make user namespaces whose root is not the root of all mounts.
mount -o move . /
(
    echo 0 >"sys/fs/cgroup/$group/cgroup.procs"
    exec chroot . /bin/sh /run/command
) </dev/null >/dev/ttyS1 2>&1
echo $? >/told/exit
sync
reboot -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | "$kernel/busybox" cpio -o -H newc 2>/dev/null) >"$run/initramfs"

mkfifo "$run/output"
tr -d '\r' <"$run/output" &
shown=$!
# Somebody has it open until the end, whichever machine writes into it.
exec 3>"$run/output"

# start ACCELERATOR CPU: a machine, as the job $vm.
start() {
    timeout -k 10 "$seconds" qemu-system-x86_64 \
        -accel "$1" -cpu "$2" -smp "$(nproc)" -m "${CGROUP2_MB:-4096}" \
        -nodefaults -no-user-config -display none -no-reboot \
        -kernel "$kernel/vmlinuz" -initrd "$run/initramfs" \
        -append "console=ttyS0 quiet panic=-1 reboot=t cgroup_no_v1=all" \
        -serial "file:$run/console" -serial "file:$run/output" \
        -virtfs "local,path=/,mount_tag=below,security_model=none,readonly=on,multidevs=remap" \
        -virtfs "local,path=$run/told,mount_tag=told,security_model=none" \
        </dev/null >"$run/qemu" 2>&1 3>&- &
    vm=$!
}

# A machine that is virtual itself often has a /dev/kvm that starts no kernel of Debian's: it says nothing, or ends.
begins() {
    tries=0
    until [ -e "$run/told/begun" ]; do
        tries=$((tries + 1))
        [ "$tries" -le "$BEGINS_S" ] && kill -0 "$vm" 2>/dev/null || return 1
        sleep 1
    done
}

why="there is no /dev/kvm that this user may write"
if [ "${CGROUP2_KVM:-yes}" = no ]; then
    why="CGROUP2_KVM=no"
elif [ -w /dev/kvm ]; then
    start kvm host
    if ! begins; then
        kill "$vm" 2>/dev/null || :
        wait "$vm" 2>/dev/null || :
        vm=
        why="with /dev/kvm it ended at once, or did nothing for $BEGINS_S s (CGROUP2_KVM=no does not try)"
    fi
fi
if [ -z "$vm" ]; then
    echo "in-cgroup2: the machine is emulated, many times slower: $why" >&2
    start tcg,thread=multi max
fi
status=0
wait "$vm" || status=$?
vm=
exec 3>&-
wait "$shown"
case $status in 124 | 137) fail "the command was not done after $seconds s (CGROUP2_SECONDS), and the machine was ended" ;; esac
if ! [ -s "$run/told/exit" ]; then
    for words in "$run/qemu" "$run/console"; do tail -n 20 "$words" >&2; done
    fail "the machine ended before the command did; its last words are above"
fi
exit "$(cat "$run/told/exit")"
