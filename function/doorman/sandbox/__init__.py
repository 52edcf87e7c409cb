"""A stand-in for the cloud and the broker, for the demo and the tests; the product never imports it."""
