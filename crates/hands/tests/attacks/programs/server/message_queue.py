# Reads a message queue of the host.
# control: outside if it can
import ctypes

from attack import attempt, canary, check, given

librt = ctypes.CDLL("librt.so.1", use_errno=True)


def receive():
    if given("host.queue") is None:
        return None
    queue = check(librt.mq_open(given("host.queue").encode(), 0o4002, 0, None))
    buffer = ctypes.create_string_buffer(8192)
    length = check(librt.mq_receive(queue, buffer, 8192, None))
    librt.mq_send(queue, buffer, length, 0)
    return canary(buffer.raw[:length])


attempt(("its name", receive))
