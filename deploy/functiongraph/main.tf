# Doorman as one container function with a timer, and no cluster or broker.

locals {
  domain      = "${var.region}.otc.t-systems.com"
  events_name = "${var.name}-events"

  # All variables together may have 4,096 characters: the policy is a file in the image.
  environment = merge(
    {
      DOORMAN_MODE               = var.mode
      DOORMAN_CHECK_BUDGET       = tostring(var.check_budget)
      OS_PROJECT_ID              = join(",", var.projects[*].id)
      OS_REGION_NAME             = var.region
      OS_IMAGE_ENDPOINT_OVERRIDE = "https://ims.${local.domain}"
      OS_CBR_ENDPOINT_OVERRIDE   = "https://cbr.${local.domain}"
    },
    var.is_chained ? { K_SINK = "smn:${one(opentelekomcloud_smn_topic_v2.events[*].topic_urn)}" } : {},
  )
}

# What the function may do, and nothing else. ims:images:share also allows sharing images out: the cloud has no right to
# accept alone.
resource "opentelekomcloud_identity_role_v3" "function" {
  provider = opentelekomcloud.account

  display_name  = var.name
  display_layer = "project"
  description   = "Doorman: reads shared images and vaults, accepts and rejects shares, tells of it."

  statement {
    effect = "Allow"
    action = ["ims:images:list", "ims:images:get", "ims:images:share"]
  }
  statement {
    effect = "Allow"
    action = ["cbr:vaults:list"]
  }
  dynamic "statement" {
    for_each = var.is_chained ? [1] : []
    content {
      effect = "Allow"
      action = ["smn:topic:publish"]
    }
  }
}

# What the engine tells for it: invocations that failed for good.
resource "opentelekomcloud_identity_role_v3" "engine" {
  provider = opentelekomcloud.account

  display_name  = "${var.name}-engine"
  display_layer = "project"
  description   = "FunctionGraph for Doorman: publishes failures."

  statement {
    effect = "Allow"
    action = ["smn:topic:publish"]
  }
}

# Lent to the running function, as temporary keys with each call: there is no password to keep.
resource "opentelekomcloud_identity_agency_v3" "function" {
  provider = opentelekomcloud.account

  name                  = var.name
  description           = "What the function ${var.name} acts as."
  delegated_domain_name = "op_svc_cff" # FunctionGraph itself

  dynamic "project_role" {
    for_each = var.projects
    content {
      project = project_role.value.name
      roles   = [opentelekomcloud_identity_role_v3.function.display_name]
    }
  }
}

# Lent to the engine: it pulls the image, writes the log and publishes failures. SWR lets only its administrators pull
# for a function, and LTS knows no lesser role that writes.
resource "opentelekomcloud_identity_agency_v3" "engine" {
  provider = opentelekomcloud.account

  name                  = "${var.name}-engine"
  description           = "What FunctionGraph needs to run the function ${var.name}."
  delegated_domain_name = "op_svc_cff"

  project_role {
    project = var.projects[0].name
    roles   = ["SWR Administrator", "LTS FullAccess", opentelekomcloud_identity_role_v3.engine.display_name]
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

# Follow-up events: the function publishes and is subscribed; people and tickets may subscribe as well.
resource "opentelekomcloud_smn_topic_v2" "events" {
  count = var.is_chained ? 1 : 0

  name         = local.events_name
  display_name = "Doorman"
}

# What failed for good, after the retries.
resource "opentelekomcloud_smn_topic_v2" "failures" {
  name         = "${var.name}-failures"
  display_name = "Doorman failed"
}

resource "opentelekomcloud_smn_subscription_v2" "failures" {
  for_each = var.alert_emails

  topic_urn = opentelekomcloud_smn_topic_v2.failures.topic_urn
  protocol  = "email"
  endpoint  = each.value
}

resource "opentelekomcloud_fgs_function_v2" "doorman" {
  name        = var.name
  app         = "default"
  description = "Accepts or rejects shared images by policy."

  runtime   = "Custom Image" # an event function: those named http take an API gateway alone
  code_type = "Custom-Image-Swr"
  handler   = "-"

  custom_image {
    url = var.image_url
  }

  initializer_handler = "-"
  initializer_timeout = 30

  timeout          = var.timeout
  memory_size      = var.memory
  max_instance_num = tostring(var.max_instances)
  concurrency_num  = 10 # calls in one container share connections, and batches

  agency                = opentelekomcloud_identity_agency_v3.engine.name
  app_agency            = opentelekomcloud_identity_agency_v3.function.name
  enable_auth_in_header = true # "Include Keys": the agency's temporary keys come with each call

  user_data = jsonencode(local.environment)

  log_group_id   = opentelekomcloud_lts_group_v2.log.id
  log_group_name = opentelekomcloud_lts_group_v2.log.group_name
  log_topic_id   = opentelekomcloud_lts_stream_v2.log.id
  log_topic_name = opentelekomcloud_lts_stream_v2.log.stream_name
}

# Every event is taken at once and worked off later; what is not done now (503) is tried again.
resource "opentelekomcloud_fgs_async_invoke_config_v2" "doorman" {
  function_urn                   = opentelekomcloud_fgs_function_v2.doorman.urn
  max_async_retry_attempts       = 3
  max_async_event_age_in_seconds = 3600

  on_failure {
    destination = "SMN"
    param       = jsonencode({ topic_urn = opentelekomcloud_smn_topic_v2.failures.topic_urn })
  }
}

# The source of truth: whatever an event lost, the next tick finds.
resource "opentelekomcloud_fgs_trigger_v2" "sweep" {
  function_urn = opentelekomcloud_fgs_function_v2.doorman.urn
  type         = "TIMER"

  event_data = jsonencode({
    name          = "${var.name}-sweep"
    schedule_type = "Rate"
    schedule      = var.sweep_every
    user_event    = jsonencode({ action = "sweep" })
  })
}

resource "opentelekomcloud_fgs_trigger_v2" "events" {
  count = var.is_chained ? 1 : 0

  function_urn = opentelekomcloud_fgs_function_v2.doorman.urn
  type         = "SMN"
  event_data   = jsonencode({ topic_urn = one(opentelekomcloud_smn_topic_v2.events[*].topic_urn) })
}

resource "opentelekomcloud_fgs_trigger_v2" "notices" {
  for_each = var.notice_topic_urns

  function_urn = opentelekomcloud_fgs_function_v2.doorman.urn
  type         = "SMN"
  event_data   = jsonencode({ topic_urn = each.value })
}
