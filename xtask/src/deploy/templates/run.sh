#!/bin/sh
# Runs {{ name }} and stays with it until it ends.
#
#   ./run [qemu|kvmtool|firecracker]
#
# The machine's console is standard output. The exit status is the machine's own, as the last line
# of its console says it: its application's, 101 after faults that were too many, 100 where it
# cannot be booted; 1 if it ended without a word. SIGTERM asks it to end, where it can be asked; a
# second one pulls the plug.
#
#   ACCEL            kvm, or tcg: emulated, anywhere and slowly (qemu alone)
#   NETWORK          instead of the TAP interface {{ tap }}, what -netdev takes (qemu alone)
#   STATE_DIRECTORY  where the black box is kept; without one it is forgotten at the end
#
# Made by cargo xtask image: change the machine there, and everything beside this changes with it.
set -eu

monitor=${1:-qemu}
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

refuse() {
    printf '%s: %s\n' "$0" "$*" >&2
    exit 2
}

# The machine.

qemu() {
    case ${ACCEL:-kvm} in
    kvm) set -- -accel kvm -machine virt,gic-version=host -cpu host ;;
    tcg) set -- -accel tcg -machine {{ board.machine|shell }} -cpu {{ board.cpu|shell }} ;;
    *) refuse "ACCEL=$ACCEL: it takes kvm or tcg" ;;
    esac
    exec qemu-system-aarch64 "$@" -name {{ name|shell }} -nodefaults -display none \
        -sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny \
        -m {{ memory }}M -kernel {{ image|shell }}{% if settings %} -append {{ settings|shell }}{% endif %} \
        -chardev stdio,id=console,signal=off -serial chardev:console \
        -chardev pipe,id=monitor,path=monitor -mon chardev=monitor,mode=readline \
        -netdev "${NETWORK:-tap,ifname={{ tap }},script=no,downscript=no},id=net0" \
        -device {{ board.devices.network|shell }},netdev=net0,mac={{ mac }} \
        -drive if=none,format=raw,file=black-box,id=black-box \
        -device {{ board.devices.disk|shell }},drive=black-box
{%- if board.devices.entropy %} \
        -device {{ board.devices.entropy|shell }}
{%- endif %}
{%- for argument in board.arguments %} {{ argument|shell }}{% endfor %}
}

kvmtool() {
    exec lkvm run --name {{ name|shell }} --cpus 1 --mem {{ memory }} \
        --kernel {{ image|shell }}{% if settings %} --params {{ settings|shell }}{% endif %} \
        --console serial --virtio-transport mmio --rng --disk black-box \
        --network mode=tap,tapif={{ tap }},guest_mac={{ mac }}
}

firecracker() {
    exec firecracker --no-api --config-file "$here/firecracker.json" <>console.in
}

# SIGTERM, once and again. On arm64 Firecracker has no power button, so it is asked by Ctrl-D on its
# console; kvmtool does not read its console but from a terminal, so it is not asked.
end() {
    case $monitor${asked:-} in
    qemu) printf 'system_powerdown\n' >monitor.in ;;
    firecracker) printf '\004' >console.in ;;
    *) kill "$machine" 2>/dev/null || true ;;
    esac
    asked=-again
}

# Passes the console on line by line, and ends with the status that the last such line tells.
follow() {
    return=$(printf '\r')
    status=
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%"$return"}
        printf '%s\n' "$line"
        case $line in
        'exit status '*[!0-9]* | 'exit status ') ;;
        'exit status '*) status=${line#exit status } ;;
        esac
    done
    if [ -z "$status" ]; then
        printf 'the machine ended without a status\n' >&2
    fi
    exit "${status:-1}"
}

# The exit status of a process that we started; a signal that comes in between is answered first.
await() {
    while :; do
        result=0
        wait "$1" || result=$?
        kill -0 "$1" 2>/dev/null || return "$result"
    done
}

case $monitor in
qemu | kvmtool | firecracker) ;;
*) refuse "there is no monitor $monitor: qemu, kvmtool or firecracker" ;;
esac
if [ "$monitor${ACCEL:-kvm}" != qemutcg ] && [ ! -w /dev/kvm ]; then
    refuse "/dev/kvm is not there, or not for $(id -un) (ACCEL=tcg emulates instead)"
fi

# Files are named as from here: the work directory, which goes when the machine has gone.
work=${RUNTIME_DIRECTORY:-$(mktemp -d)}
trap 'cd /; rm -rf "$work"/*; rmdir "$work" 2>/dev/null || true' EXIT
cd "$work"
box=${STATE_DIRECTORY:-$work}/black-box
if [ ! -e "$box" ]; then
    # 64 KiB that begin with a signature: by it the kernel knows that it may write here.
    { printf 'ELONE BLACK BOX 1\n'; head -c 65518 /dev/zero; } >"$box"
fi
[ "$box" = "$work/black-box" ] || ln -s "$box" black-box
ln -s "$here/{{ image }}" .
mkfifo console console.in monitor.in monitor.out

follow <console &
console=$!
trap end TERM INT
"$monitor" >console &
machine=$!
await "$machine" || true
await "$console"
