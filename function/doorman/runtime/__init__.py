"""The process around the product: clock, logs, connections, telemetry, and the server's tuning."""
