"""The way into a cloud: who we are, logins at Keystone, signed requests, and where the services are."""
