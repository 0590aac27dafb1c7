#!/bin/sh
# In name spaces of our own: a root made of this system and PACKAGES, and inside.sh in it. root.sh OUT PACKAGES
set -eu
out=$1 packages=$2

cannot() {
	echo "$*"
	exit 77
}

new=$out/root
mkdir -p "$new"
# the layers must lie beside this system's files, not among them
mount -t tmpfs none "$new"
mkdir "$new/upper" "$new/work" "$new/root"
cp -a "$packages" "$new/packages"
for d in bin sbin lib lib64; do
	# packages made before /usr was merged
	if [ -d "$new/packages/$d" ] && [ -L "/$d" ]; then
		mkdir -p "$new/packages/usr/$d"
		cp -a "$new/packages/$d/." "$new/packages/usr/$d/"
		rm -rf "${new:?}/packages/$d"
	fi
done
mount -t overlay overlay -o "lowerdir=$new/packages:/,upperdir=$new/upper,workdir=$new/work" "$new/root" 2>/dev/null ||
	cannot "this kernel lays no file system over another here"
cd "$new/root"
for f in usr/bin/*-wlm usr/sbin/*-wlm; do
	[ ! -e "$f" ] || [ -e "${f%-wlm}" ] || ln -s "${f##*/}" "${f%-wlm}"
done
mount -t proc proc proc
for d in dev run tmp; do mount -t tmpfs none "$d"; done
chmod 1777 tmp
mkdir dev/shm dev/dri tmp/berth
mknod -m 666 dev/null c 1 3
mknod -m 666 dev/zero c 1 5
mknod -m 666 dev/full c 1 7
mknod -m 666 dev/random c 1 8
mknod -m 666 dev/urandom c 1 9
ln -s /proc/self/fd dev/fd
# Slurm wants a device, whatever it is
for n in 128 129 130; do mknod -m 666 dev/dri/renderD$n c 1 3; done
cp -a "$out/berth" "$out/machine" "$out/it's a model.gguf" "$out/inside.sh" tmp/berth/
mkdir -p tmp/berth/machine/sys/fs/cgroup
mount --bind tmp/berth/machine/sys sys
mount -t tmpfs none sys/fs/cgroup
mkdir -p etc/slurm etc/munge run/munge var/log/munge var/lib/munge var/spool/slurmd var/spool/slurmctld
cp "$out/slurm.conf" etc/slurm/
# "disabled" is known from 23.11 on; before, a hierarchy of the first kind is asked for little
case $(chroot . slurmd -V) in
"slurm-wlm 22."* | "slurm 22."* | *" 23.02"*) echo CgroupPlugin=cgroup/v1 >etc/slurm/cgroup.conf ;;
*) echo CgroupPlugin=disabled >etc/slurm/cgroup.conf ;;
esac
head -c 1024 /dev/urandom >etc/munge/munge.key
chmod 400 etc/munge/munge.key
chown -R 0:0 etc/munge run/munge var/log/munge var/lib/munge
chmod 700 etc/munge var/log/munge var/lib/munge
chmod 755 run/munge
hostname node
printf '127.0.0.1 localhost\n10.99.0.1 node\n' >etc/hosts
# a second address, or the resolver takes the machine for one without a network
python3 - <<-'END'
	import fcntl, socket, struct
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	up = lambda name: fcntl.ioctl(s, 0x8914, struct.pack("16sH14x", name, 0x41))
	up(b"lo")
	fcntl.ioctl(s, 0x8916, struct.pack("16sH2x4s8x", b"lo:1", socket.AF_INET, socket.inet_aton("10.99.0.1")))
	up(b"lo:1")
END
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C BERTH_NO_CACHE=1 \
	chroot . sh /tmp/berth/inside.sh
