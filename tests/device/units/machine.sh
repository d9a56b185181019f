#!/bin/sh
# A machine with systemd as its first process: machine.sh SCRATCH ADDED [UNIT].
#
# To be run by `unshare --pid --mount --uts --ipc --net --cgroup --fork --kill-child`. Its root is
# this machine's, with all changes in memory below SCRATCH; the tree ADDED is laid over it. No unit
# of this machine's administrator is started. Ends with the process that started it.
set -eu

scratch=$1 added=$2

mount --make-rprivate /
mount -t tmpfs -o size=1g scratch "$scratch"
mkdir "$scratch/upper" "$scratch/work" "$scratch/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/upper,workdir=$scratch/work" "$scratch/root"
cd "$scratch/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys # this machine's kernel is not to be set up anew
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do
    touch "dev/$device"
    mount --bind "/dev/$device" "dev/$device"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

rm -rf etc/systemd/system
mkdir -p etc/systemd/system
for unit in lib/systemd/system/*.target.wants/*; do # nor its disks, clocks and terminals
    case ${unit##*/} in
        systemd-journald* | systemd-sysusers*) ;;
        *) ln -sf /dev/null "etc/systemd/system/${unit##*/}" ;;
    esac
done
: > etc/machine-id
cp -a "$added/." .

mkdir -p run/outside
pivot_root . run/outside
cd /
umount -l /run/outside
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    /lib/systemd/systemd --unit=machine.target --show-status=0
