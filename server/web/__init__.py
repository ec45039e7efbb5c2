"""Between socket and route: bodies, connections, browser security, request log."""
