#!/bin/sh
# Runs {{ name }} and stays with it until it ends.
#
#   ./run [qemu|kvmtool|firecracker]
#
# The machine's console is standard output. The exit status is the machine's own, by the last line
# `exit status N` on its console: its application's, 101 after faults that were too many, 102 where
# it was asked to end and did not in time, 100 where it cannot be booted. It is 1 without such a
# line, and if the monitor failed or was killed, whatever the console said before; 78 if this was
# called wrongly or there is no KVM. SIGTERM asks the machine to end, where it can be asked; a second
# one pulls the plug.
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
    exit 78
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
    exec firecracker --no-api --config-file "$here/firecracker.json" <&3
}

# SIGTERM, once and again. On arm64 Firecracker has no power button, so it is asked by Ctrl-D on its
# console; kvmtool does not read its console but from a terminal, so it is not asked.
end() {
    case $monitor${asked:-} in
    qemu) printf 'system_powerdown\n' >&3 ;;
    firecracker) printf '\004' >&3 ;;
    *) kill "$machine" 2>/dev/null || true ;;
    esac
    asked=-again
    heard=yes
}

# Passes the console on line by line, and ends with the status that the last line of its form tells.
# (Monitors have their own last words after that.) An application can write such a line too, but not
# after the kernel's. A line is in memory here until it ends, however long it is: what runs this has
# to bound that, as the unit's MemoryMax= does.
follow() {
    return=$(printf '\r')
    status=
    while IFS= read -r line || [ -n "$line" ]; do
        line=${line%"$return"}
        printf '%s\n' "$line"
        case ${line#exit status } in
        "$line") ;;
        [0-9] | [1-9][0-9] | 1[0-9][0-9] | 2[0-4][0-9] | 25[0-5]) status=${line#exit status } ;;
        esac
    done
    if [ -z "$status" ]; then
        printf 'the machine ended without a status\n' >&2
    fi
    exit "${status:-1}"
}

# The exit status of a process that we started; a signal that comes in between is answered first,
# and then what wait said may be that signal. Whom wait has told of before is unknown to it: 127.
await() {
    result=127
    while :; do
        heard=
        code=0
        wait "$1" || code=$?
        [ "$code" -eq 127 ] || result=$code
        [ -n "$heard" ] || return "$result"
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
mkfifo console monitor.in monitor.out
# What the monitor is asked by: open on both ends from now on, so that to ask never waits for one
# who listens, and what is asked before the monitor listens is not lost.
exec 3<>monitor.in

follow <console &
console=$!
trap end TERM INT
"$monitor" >console &
machine=$!
ended=0
await "$machine" || ended=$?
if [ "$ended" -ne 0 ]; then
    await "$console" || true
    printf 'the monitor ended with %s\n' "$ended" >&2
    exit 1
fi
await "$console"
