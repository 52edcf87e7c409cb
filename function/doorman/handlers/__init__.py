"""The handlers: what each function does for the served projects, with the cloud and the sink at hand."""
