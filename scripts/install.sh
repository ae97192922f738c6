#!/usr/bin/env bash
# Installs what a command of the Makefile needs and this machine lacks, and says
# what it does. Run twice, it does nothing the second time. It never starts a
# system service: the tests and the demo run their own servers on free ports.
#
#   scripts/install.sh demo|test|check|release|bench|fleet|alertmanager|cgroup2
set -euo pipefail

purpose=${1:-}
case "$purpose" in
demo | test | check | release | bench | fleet | alertmanager | cgroup2) ;;
*)
    echo "usage: scripts/install.sh demo|test|check|release|bench|fleet|alertmanager|cgroup2" >&2
    exit 2
    ;;
esac

say() { echo "install: $*" >&2; }

has() {
    local name=$1
    command -v "$name" >/dev/null 2>&1 || [ -x "/usr/sbin/$name" ] || [ -x "/usr/lib/postgresql/15/bin/$name" ] ||
        compgen -G "/usr/lib/postgresql/*/bin/$name" >/dev/null
}

packages=()
# need COMMAND PACKAGE...: when COMMAND is missing, PACKAGE... will be installed.
need() {
    local command=$1
    shift
    has "$command" || packages+=("$@")
}

# Rust comes with its own installer and a pinned version; that choice is yours.
if ! command -v cargo >/dev/null 2>&1; then
    say "cargo is missing: install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml) with rustup, then run this again"
    exit 1
fi
if ! command -v node >/dev/null 2>&1 || [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
    say "Node 20 or newer is missing: install it, then run this again"
    exit 1
fi

need npm npm
need cc gcc libc6-dev
need make make
if [ "$purpose" = cgroup2 ]; then
    need git git ca-certificates
elif [ "$purpose" != check ] && [ "$purpose" != alertmanager ]; then
    need git git ca-certificates
    need ngircd ngircd
    need postfix postfix
fi
if [ "$purpose" = test ] || [ "$purpose" = release ] || [ "$purpose" = bench ]; then
    need initdb postgresql
    need inspircd inspircd
    need sshd openssh-server
    need cap capistrano
    need openssl openssl
    need chromium chromium fonts-dejavu-core
    need prometheus prometheus
    need prometheus-node-exporter prometheus-node-exporter
    need amtool prometheus-alertmanager
    need gmond ganglia-monitor
    need gmetad gmetad
    need collectd collectd-core libmicrohttpd12 libprotobuf-c1
    need victoria-metrics victoria-metrics
    [ -x /usr/lib/nagios/plugins/check_dummy ] || packages+=(monitoring-plugins-basic)
    need nrpe nagios-nrpe-server
    need nagios4 nagios4-core
    need python3 python3
    # Debian's python3 makes no virtual environment by itself.
    python3 -c 'import ensurepip' >/dev/null 2>&1 || packages+=(python3-venv)
    need fusermount3 fuse3
    need curl curl
fi

# Of the program at work the functions that it calls.
if [ "$purpose" = release ]; then
    need valgrind valgrind
    need nm binutils
fi

# Nothing is tested against it; checks are measured beside it.
if [ "$purpose" = bench ]; then
    need icinga2 icinga2-bin
fi

# Alertmanager's acceptance suite comes as source, and is compiled where it lies.
if [ "$purpose" = alertmanager ]; then
    need go golang-go
    need amtool prometheus-alertmanager
    need curl curl
    [ -d /usr/share/gocode/src/github.com/prometheus/alertmanager/test ] ||
        packages+=(golang-github-prometheus-alertmanager-dev)
fi

# Hosts in namespaces, and what their deploys are measured beside.
if [ "$purpose" = fleet ]; then
    need sshd openssh-server
    need cap capistrano
    need ansible-playbook ansible
    need rsync rsync
    need ip iproute2
    need nsenter util-linux
fi

# Debian's kernel for scripts/in-cgroup2.sh and a shell for its first steps: unpacked, never installed, so that nothing of
# this machine changes. It takes the package lists, but not root.
kernel=target/cgroup2
unpack_kernel() {
    local image
    image=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$image" ] && rm -rf "$kernel" && mkdir -p "$kernel" || return
    (
        cd "$kernel"
        apt-get download -q "$image" busybox-static >/dev/null 2>&1 || exit
        dpkg-deb --fsys-tarfile linux-image-*.deb | tar -x --wildcards --transform='s,.*/,,' \
            '*/vmlinuz-*' '*/virtio*.ko*' '*/9p*.ko*' '*/netfs.ko*' '*/fscache.ko*' '*/overlay.ko*' 2>/dev/null || :
        dpkg-deb --fsys-tarfile busybox-static_*.deb | tar -x --wildcards --transform='s,.*/,,' '*bin/busybox'
        rm -- *.deb
        mv vmlinuz-* vmlinuz
    )
}
if [ "$purpose" = cgroup2 ]; then
    need qemu-system-x86_64 qemu-system-x86
    if [ ! -e "$kernel/vmlinuz" ]; then
        if ! command -v apt-get >/dev/null 2>&1; then
            say "this needs a kernel and busybox out of Debian's packages, and there is no apt-get"
            exit 1
        fi
        say "apt-get download linux-image-amd64 busybox-static (unpacked into $kernel, not installed)"
        unpack_kernel || { apt-get update -q >/dev/null && unpack_kernel; }
    fi
fi

# Some minutes, once: it comes as source.
if [ "$purpose" = check ] && ! has cargo-deny; then
    say "cargo install cargo-deny (licences, bans and sources of the dependencies)"
    cargo install --quiet --locked cargo-deny
fi

if [ ${#packages[@]} -eq 0 ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    say "this needs ${packages[*]} (Debian's names): install them, then run this again"
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    if [ "$purpose" = demo ]; then
        say "without root the demo runs without ${packages[*]}; for all of it: sudo apt-get install ${packages[*]}"
        exit 0
    fi
    say "this needs root once: sudo apt-get install ${packages[*]}"
    exit 1
fi

# Debian starts a server when it installs one, unless this file says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    trap 'rm -f "$policy"' EXIT
fi

# Postfix asks how it shall be configured; the demo and the tests bring their own.
if [[ " ${packages[*]} " == *" postfix "* ]] && command -v debconf-set-selections >/dev/null 2>&1; then
    echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
fi

export DEBIAN_FRONTEND=noninteractive
say "apt-get install ${packages[*]} (no service is started)"
if ! apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null 2>&1; then
    # The package lists are missing or old.
    apt-get update -q >/dev/null
    apt-get install -y -q --no-install-recommends "${packages[@]}" >/dev/null
fi
say "done"
