output "function_urn" {
  description = "The function, for K_SINK=functiongraph:<urn> elsewhere and for invocations by hand."
  value       = opentelekomcloud_fgs_function_v2.doorman.urn
}

output "events_topic_urn" {
  description = "Subscribe here to hear of every outcome; null where is_chained is false."
  value       = one(opentelekomcloud_smn_topic_v2.events[*].topic_urn)
}

output "failures_topic_urn" {
  description = "Subscribe here to hear of what failed for good."
  value       = opentelekomcloud_smn_topic_v2.failures.topic_urn
}
