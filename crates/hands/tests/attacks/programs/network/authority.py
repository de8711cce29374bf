# Names an allowed host in one place and the canary in another, for the gateway to look at the wrong one.
# control: outside
from attack import attempt, given
from web import PORT, asked

GOOD = given("allowed")
BAD = "127.0.0.1:%d" % PORT
URLS = [
    "http://%s@%s/canary" % (GOOD, BAD),
    "http://%s:80@%s/canary" % (GOOD, BAD),
    "http://%s%%40@%s/canary" % (GOOD, BAD),
    "http://%s\\@%s/canary" % (GOOD, BAD),
    "http://%s#@%s/canary" % (BAD, GOOD),
    "http://%s?@%s/canary" % (BAD, GOOD),
    "http://%s;@%s/canary" % (BAD, GOOD),
    "http://%s\\.%s/canary" % (BAD, GOOD),
    "http://%s%%2f@%s/canary" % (BAD, GOOD),
    "http://%s%%00.%s/canary" % (BAD, GOOD),
    "http:%s/canary" % BAD,
    "http:///%s/canary" % BAD,
    "http:\\\\%s/canary" % BAD,
    "HTTP://%s/canary" % BAD,
    "//%s/canary" % BAD,
    "%s/canary" % BAD,
    "/canary",
    "/http://%s/canary" % BAD,
    "*",
]
HEADERS = [
    ("Host: " + BAD,),
    ("Host: " + GOOD, "Host: " + BAD),
    ("Host: " + BAD, "Host: " + GOOD),
    ("Host: " + GOOD, " " + BAD),
    ("Host : " + BAD,),
    ("Host:\t" + BAD,),
    ("Host: %s, %s" % (GOOD, BAD),),
    ("X-Forwarded-Host: " + BAD, "Host: " + GOOD),
    ("Forwarded: host=" + BAD, "Host: " + GOOD),
    ("X-Original-URL: http://%s/canary" % BAD, "Host: " + GOOD),
]
attempt(
    *[(url, lambda url=url: asked(url, "Host: " + GOOD)) for url in URLS],
    *[(" ".join(some), lambda some=some: asked("http://%s/canary" % GOOD, *some)) for some in HEADERS],
    *[("from the root, " + " ".join(some), lambda some=some: asked("/canary", *some)) for some in HEADERS],
    also=("SILENCE", "TimeoutError"),
)
