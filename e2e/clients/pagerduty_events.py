# Events sent by PagerDuty's own client library, one for each line of stdin: {"do": "trigger", "with": {..}}. Each answer is a
# line: {"key": ..} or {"refused": ..}. The library speaks TLS only, so that a proxy stands in front of the server, as it would.
import http.client
import http.server
import json
import os
import ssl
import subprocess
import sys
import threading
from urllib.parse import urlsplit

target, secret, folder = sys.argv[1:4]
pem = os.path.join(folder, 'proxy.pem')
subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=localhost', '-days', '2',
    '-addext', 'subjectAltName=DNS:localhost', '-keyout', pem + '.key', '-out', pem], check=True, stderr=subprocess.DEVNULL)
os.environ['SSL_CERT_FILE'] = os.environ['REQUESTS_CA_BUNDLE'] = pem

from pagerduty import EventsApiV2Client, HttpError  # noqa: E402 (it reads the variables above)


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers['content-length']))
        behind = http.client.HTTPConnection(urlsplit(target).netloc)
        kept = {k: v for k, v in self.headers.items() if k.lower() in ('content-type', 'accept', 'user-agent')}
        behind.request('POST', self.path, body, kept)
        answer = behind.getresponse()
        text = answer.read()
        self.send_response(answer.status)
        self.send_header('content-type', answer.headers.get('content-type', ''))
        self.send_header('content-length', str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(pem, pem + '.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f'https://localhost:{server.server_address[1]}'

for line in sys.stdin:
    wanted = json.loads(line)
    client = EventsApiV2Client(wanted.get('secret', secret), base_url=url)
    try:
        answer = {'key': getattr(client, wanted['do'])(**wanted['with'])}
    except HttpError as error:
        answer = {'refused': error.response.status_code}
    print(json.dumps(answer), flush=True)
