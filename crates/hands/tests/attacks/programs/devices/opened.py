# Opens devices by the names that they usually have.
# control: outside if it can
import glob
import os

from attack import attempt

NAMES = """mem kmem port kmsg kvm fuse net/tun vhost-net vhost-vsock vsock loop-control loop0 mapper/control sda vda
    nvme0n1 xvda disk/by-uuid/* dri/card0 dri/renderD128 input/event0 uinput console tty0 tty1 ttyS0 rtc0 ptp0 hpet
    snapshot userfaultfd autofs btrfs-control cpu_dma_latency cuse ecryptfs hwrng i2c-0 infiniband/rdma_cm mcelog msr
    nvram ppp rfkill snd/seq tpm0 udmabuf usbmon0 vfio/vfio vga_arbiter watchdog zfs sgx_enclave sev binder ashmem
    cpu/0/msr""".split()


def opened(name):
    for path in glob.glob("/dev/" + name):
        return "%s, descriptor %d" % (path, os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
    return None


attempt(*[(name, lambda name=name: opened(name)) for name in NAMES], also=("EBUSY", "EINVAL"))
