#!/bin/sh
# Puts a machine together out of a directory, in namespaces of its own, and runs /story.sh on it: the system's own programs
# read-only underneath, the machine's own /etc, /var, /mnt and /usr/local/bin, its own network and processes. All of it is
# gone when this ends. Called as: unshare --mount --pid --net --fork --kill-child sh inside.sh DIRECTORY PROGRAMS QDRANT
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
machine=$1
mount --rbind /usr "$machine/usr"
mount --bind "$machine/own-bin" "$machine/usr/local/bin"
mount --bind "$2" "$machine/programs"
# Qdrant's own local engine, for those that have it running beside the server.
if [ -d "$3" ]; then
    mount --bind "$3" "$machine/qdrant"
    # Its Python, where that is not the system's.
    home=$(sed -n 's|^home = \(.*\)/bin$|\1|p' "$3/pyvenv.cfg")
    case $home in
        /usr*) ;;
        *) mkdir -p "$machine$home" && mount --bind "$home" "$machine$home" ;;
    esac
fi
mount -t proc proc "$machine/proc"
mount --bind /dev "$machine/dev"
ip link set lo up
# The stubs first, then the tools that the handbook may use, then what was installed.
exec chroot "$machine" /usr/bin/env -i PATH=/stubs:/tools:/usr/local/bin HOME=/root LANG=C.UTF-8 /bin/sh /story.sh
