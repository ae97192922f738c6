// Pages that are not compiled in yet: serves a built folder, and hands everything else to the server, as if it came from there.
import { createReadStream, existsSync, statSync } from 'node:fs';
import http from 'node:http';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };

/** The address of the pages in `folder` before the server at `target`, and how to end it. */
export async function servePages(folder, target) {
  const origin = new URL(target);
  const forward = (request, response) => {
    const headers = { ...request.headers, host: origin.host, ...(request.headers.origin ? { origin: origin.origin } : {}) };
    const onward = http.request({ host: origin.hostname, port: origin.port, path: request.url, method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  };
  const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, target);
    if (/^\/(?:api|ofrep|metrics|readyz)/.test(pathname)) return forward(request, response);
    const wanted = join(folder, normalize(pathname));
    const file = existsSync(wanted) && statSync(wanted).isFile() ? wanted : join(folder, 'index.html');
    response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' });
    return createReadStream(file).pipe(response);
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); }) };
}
