# Looks for what a host keeps of its accounts: hashes, keys, tokens, sockets of its services.
# control: outside if it can
import glob
import os

from attack import attempt

PLACES = """/etc/shadow /etc/gshadow /etc/shadow- /etc/sudoers /etc/ssh/ssh_host_* /etc/ssl/private /etc/machine-id
    /etc/krb5.keytab /etc/docker /etc/kubernetes /root/.ssh /root/.aws /root/.netrc /root/.docker /root/.kube
    /root/.cargo /home/* /run/secrets /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock
    /run/systemd/private /run/dbus/system_bus_socket /run/user/* /var/run/secrets /var/lib/docker /var/spool/cron
    /var/backups/* /boot/*""".split()


def there(pattern):
    return [path for path in glob.glob(pattern) if os.lstat(path)]


attempt(*[(place, lambda place=place: there(place)) for place in PLACES])
