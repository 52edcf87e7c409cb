"""What people do with a policy: check it, test it, compare it, have it explained."""
