"""What the gateway answers a customer: ask.py ADDRESS PATH TOKEN

Runs in a pod beside the gateway. A 503 is asked again after its Retry-After, as the API tells every client: the node's rules
learn of a new pod after its probes do.
"""

import sys
import time
import urllib.error
import urllib.request

TRIES = 10


def main() -> None:
    shop, path, token = sys.argv[1:]
    request = urllib.request.Request(shop + path, headers={"authorization": f"Bearer {token}"})
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                print(answer.read().decode())
                return
        except urllib.error.HTTPError as refusal:
            if refusal.code != 503 or not left:
                raise
            time.sleep(float(refusal.headers["retry-after"]))


main()
