import { createServer } from "node:http";

createServer((request, response) => {
  const found = request.url === "/health";
  response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify({ status: found ? "ok" : "not found" }));
}).listen(3000);
