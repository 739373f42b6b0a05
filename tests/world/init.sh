#!/bin/bash
# The first process of a world: see __init__.py. It is started in new mount and process namespaces,
# reads the password of all users from the first line of its standard input, so that no list of
# processes shows it, and lives until that is closed; when it ends, the kernel ends every process of
# the namespace.
#
# Usage: init.sh PUBLIC_KEY_FILE USER=SHELL...
set -eu -o pipefail
read -r password
public_key=$(cat "$1")
shift

mount --make-rprivate /

# In a container these may be single files mounted over /etc, which an overlay does not show.
hosts=$(cat /etc/hosts) resolv=$(cat /etc/resolv.conf)

# The upper layers lie on a file system in memory that only this namespace sees.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -m 700 /run/layers
for directory in etc home opt root srv tmp usr var; do
    [ -d "/$directory" ] || continue
    mkdir -p "/run/layers/$directory/upper" "/run/layers/$directory/work"
    chmod --reference="/$directory" "/run/layers/$directory/upper"
    mount -t overlay overlay -o "lowerdir=/$directory,upperdir=/run/layers/$directory/upper,workdir=/run/layers/$directory/work" "/$directory"
done
rm -f /etc/hosts /etc/resolv.conf
printf '%s\n' "$hosts" >/etc/hosts
printf '%s\n' "$resolv" >/etc/resolv.conf

mkdir -p /run/sshd /run/lock
# The Python that runs the tests may be root's own; users of the world may run it too.
chmod o+x /root
# As Debian's own sudoers file says it; elsewhere the group may be called wheel.
getent group sudo >/dev/null || groupadd sudo
printf '%%sudo ALL=(ALL:ALL) ALL\nnopass ALL=(ALL:ALL) NOPASSWD: ALL\n' >/etc/sudoers.d/zz-world
chmod 440 /etc/sudoers.d/zz-world

for entry in "$@"; do
    user=${entry%%=*} shell=${entry#*=}
    # The machine may have such a user, too; in here there is only ours.
    ! getent passwd "$user" >/dev/null || userdel --force --remove "$user" >&2
    ! getent group "$user" >/dev/null || groupdel "$user" >&2
    useradd --create-home --user-group --shell "$shell" "$user"
    install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
    printf '%s\n' "$public_key" >"/home/$user/.ssh/authorized_keys"
    chown "$user:" "/home/$user/.ssh/authorized_keys"
    printf '%s:%s\n' "$user" "$password"
done | chpasswd
usermod --append --groups sudo deploy
# root logs in with the same key, and never with a password.
install -d -m 700 /root/.ssh
printf '%s\n' "$public_key" >/root/.ssh/authorized_keys
# What the root of this machine wants done in each shell is nobody's here.
: >/root/.bashrc
# zsh asks an interactive newcomer questions unless there is a start-up file.
[ ! -d /home/zsher ] || install -o zsher -g zsher /dev/null /home/zsher/.zshrc

ssh-keygen -q -t ed25519 -N '' -f /run/host_key
echo ready
read -r _ || exit 0
