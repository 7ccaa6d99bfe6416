"""Who is in a picture: python3 recognize.py PICTURE. The standard library only; a token: faced token create --scope recognize"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

URL = os.environ.get("FACED_URL", "http://127.0.0.1:8723")


def recognize(picture: bytes) -> list:
    request = urllib.request.Request(
        f"{URL}/v1/recognize",
        data=picture,
        headers={
            "Authorization": f"Bearer {os.environ['FACED_TOKEN']}",
            "Content-Type": "application/octet-stream",
        },
    )
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["faces"]
        except urllib.error.HTTPError as error:
            # Too much at once: the answer says when to come again.
            if error.code != 429:
                problem = json.load(error)["error"]
                sys.exit(f"{problem['message']} ({problem['code']})")
            time.sleep(float(error.headers.get("Retry-After", 1)))


with open(sys.argv[1], "rb") as file:
    for face in recognize(file.read()):
        print(face["person"]["name"] if face["person"] else face["decision"])
