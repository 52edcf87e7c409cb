"""Events as they go over the wire: the CloudEvents format, our vocabulary, and what is told."""
