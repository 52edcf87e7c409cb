# For a project that shares images: its audit traces, passed on as notices to where Doorman works for the receivers.

locals {
  is_topic = startswith(var.sink, "smn:")

  # No secret and no login: a URL is posted to as it is, a topic with the keys that are lent to each call.
  environment = merge(
    {
      DOORMAN_MODE   = "forward"
      K_SINK         = var.sink
      OS_PROJECT_ID  = join(",", var.receivers)
      OS_REGION_NAME = var.region
    },
    local.is_topic ? { OS_IMAGE_ENDPOINT_OVERRIDE = "https://ims.${var.region}.otc.t-systems.com" } : {},
  )
}

# All that the function itself may do, where it publishes to a topic. It reads no image and no share.
resource "opentelekomcloud_identity_role_v3" "function" {
  count    = local.is_topic ? 1 : 0
  provider = opentelekomcloud.account

  display_name  = var.name
  display_layer = "project"
  description   = "Doorman's notices: publishes them."

  statement {
    effect = "Allow"
    action = ["smn:topic:publish"]
  }
}

resource "opentelekomcloud_identity_agency_v3" "function" {
  count    = local.is_topic ? 1 : 0
  provider = opentelekomcloud.account

  name                  = var.name
  description           = "What the function ${var.name} acts as."
  delegated_domain_name = "op_svc_cff" # FunctionGraph itself

  project_role {
    project = var.sink_project
    roles   = [one(opentelekomcloud_identity_role_v3.function[*].display_name)]
  }
}

# Lent to the engine: it pulls the image, writes the log and hears of traces. None of the three knows a lesser role.
resource "opentelekomcloud_identity_agency_v3" "engine" {
  provider = opentelekomcloud.account

  name                  = "${var.name}-engine"
  description           = "What FunctionGraph needs to run the function ${var.name}."
  delegated_domain_name = "op_svc_cff"

  project_role {
    project = var.project
    roles   = ["SWR Administrator", "LTS FullAccess", "CTS Administrator"]
  }
}

resource "opentelekomcloud_lts_group_v2" "log" {
  group_name  = var.name
  ttl_in_days = var.log_days
}

resource "opentelekomcloud_lts_stream_v2" "log" {
  group_id    = opentelekomcloud_lts_group_v2.log.id
  stream_name = var.name
}

resource "opentelekomcloud_fgs_function_v2" "sender" {
  name        = var.name
  app         = "default"
  description = "Tells receivers of shared images."

  runtime   = "Custom Image" # an event function: those named http take an API gateway alone
  code_type = "Custom-Image-Swr"
  handler   = "-"

  custom_image {
    url = var.image_url
  }

  initializer_handler = "-"
  initializer_timeout = 30

  timeout          = 60
  memory_size      = 256
  max_instance_num = "2"
  concurrency_num  = 10

  agency                = opentelekomcloud_identity_agency_v3.engine.name
  app_agency            = one(opentelekomcloud_identity_agency_v3.function[*].name)
  enable_auth_in_header = local.is_topic # "Include Keys"

  user_data = jsonencode(local.environment)

  log_group_id   = opentelekomcloud_lts_group_v2.log.id
  log_group_name = opentelekomcloud_lts_group_v2.log.group_name
  log_topic_id   = opentelekomcloud_lts_stream_v2.log.id
  log_topic_name = opentelekomcloud_lts_stream_v2.log.stream_name
}

# What is not taken now (503) is tried again. What is lost for good costs time alone: the receiver's next tick finds the share.
resource "opentelekomcloud_fgs_async_invoke_config_v2" "sender" {
  function_urn                   = opentelekomcloud_fgs_function_v2.sender.urn
  max_async_retry_attempts       = 3
  max_async_event_age_in_seconds = 3600
}

# service:resource:operations. The batch call for taking back is spelt so; which resource type IMS writes is not documented for it.
resource "opentelekomcloud_fgs_trigger_v2" "traces" {
  function_urn = opentelekomcloud_fgs_function_v2.sender.urn
  type         = "CTS"

  event_data = jsonencode({
    name       = replace("${var.name}_traces", "-", "_")
    operations = [for resource in ["ims", "image"] : "IMS:${resource}:addMember;deleteMember;deleteMemeber"]
  })
}
