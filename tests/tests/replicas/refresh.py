"""One process of a client: once it is told to, it sends one refresh token several times at once.

usage: refresh.py HOST:PORT TIMES FORM, where FORM is the body of the request
"""

import http.client
import json
import sys
import threading

authority, times, form = sys.argv[1], int(sys.argv[2]), sys.argv[3]
begin = threading.Barrier(times)
answers = []


def refresh():
    connection = http.client.HTTPConnection(authority, timeout=60)
    begin.wait()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/token", form, headers)
    response = connection.getresponse()
    answers.append({"status": response.status, "body": json.load(response)})


threads = [threading.Thread(target=refresh) for _ in range(times)]
print("ready", flush=True)
sys.stdin.readline()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(answers))
