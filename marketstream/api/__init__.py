"""For machines: the REST API of one engine. Entry points: app.create_app and server.api_server."""
