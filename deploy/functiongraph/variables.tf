variable "cloud" {
  description = "Entry of clouds.yaml that is scoped to the project; null: OS_* variables."
  type        = string
  default     = null
}

variable "account_cloud" {
  description = "Entry of clouds.yaml that is scoped to the account (domain), for the role and the agencies; null: OS_* variables."
  type        = string
  default     = null
}

variable "region" {
  description = "Region of the project."
  type        = string
  default     = "eu-de"

  validation {
    condition     = contains(["eu-de", "eu-nl"], var.region)
    error_message = "T Cloud Public has the regions eu-de and eu-nl."
  }
}

variable "projects" {
  description = "Projects whose shares are decided, by ID and name. The first is the one that the function lives in, which cloud is scoped to."
  type        = list(object({ id = string, name = string }))

  validation {
    condition     = length(var.projects) > 0 && alltrue([for project in var.projects : can(regex("^[A-Za-z0-9_-]{1,64}$", project.id))])
    error_message = "One project at least; a project ID is 1 to 64 of A-Z a-z 0-9 _ - (console: My Credentials)."
  }

  validation {
    condition     = alltrue([for project in var.projects : startswith(project.name, var.region)])
    error_message = "A project's name begins with its region, such as eu-de_landing-zone; images are shared within one region only."
  }

  validation {
    condition     = length(distinct(var.projects[*].id)) == length(var.projects)
    error_message = "Name each project once."
  }
}

variable "image_url" {
  description = "The container image in SWR, built from the Containerfile beside this file, with your policy in it."
  type        = string

  validation {
    condition     = can(regex("^swr\\.[a-z0-9.-]+/[a-z0-9._-]+/[a-z0-9._/-]+:[A-Za-z0-9._-]+$", var.image_url)) && !endswith(var.image_url, ":latest")
    error_message = "Expected swr.<region>.otc.t-systems.com/<organisation>/<image>:<tag>, and a tag that says which one it is: not latest."
  }
}

variable "name" {
  description = "Name of the function, and beginning of every other name."
  type        = string
  default     = "doorman"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "2 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "mode" {
  description = "audit: decide and tell everything, write nothing (the first week, and the kill switch); enforce: settle."
  type        = string
  default     = "audit"

  validation {
    condition     = contains(["audit", "enforce"], var.mode)
    error_message = "Either audit or enforce."
  }
}

variable "is_chained" {
  description = "true: follow-up events go over an SMN topic, each step is an invocation of its own. false: one invocation follows everything to its end, outcomes stand in the log alone."
  type        = bool
  default     = true
}

variable "sweep_every" {
  description = "How often pending shares are looked for: minutes (m) or hours (h)."
  type        = string
  default     = "5m"

  validation {
    condition     = can(regex("^([1-9]|[1-5][0-9])m$|^([1-9]|1[0-9]|2[0-4])h$", var.sweep_every))
    error_message = "1m to 59m, or 1h to 24h."
  }
}

variable "timeout" {
  description = "Seconds that one invocation may take."
  type        = number
  default     = 120

  validation {
    condition     = var.timeout <= 900 && var.timeout >= var.check_budget + 60
    error_message = "At most 900, the engine's own bound, and at least 60 above check_budget: a check also reads back and tells."
  }

  validation {
    condition     = var.is_chained || var.timeout >= 300
    error_message = "Without the chain one invocation waits for its jobs to end: allow 300 seconds at least."
  }
}

variable "check_budget" {
  description = "Seconds that one invocation waits for a job before it hands over to the next."
  type        = number
  default     = 20

  validation {
    condition     = var.check_budget >= 1 && floor(var.check_budget) == var.check_budget
    error_message = "A whole number from 1."
  }
}

variable "memory" {
  description = "MB; the engine charges memory times duration."
  type        = number
  default     = 256

  validation {
    condition     = contains([256, 512, 768, 1024, 1536, 2048], var.memory)
    error_message = "One of 256, 512, 768, 1024, 1536, 2048: below 256 the process has no room."
  }
}

variable "max_instances" {
  description = "Containers that may run at once; an account has 100 executions in all."
  type        = number
  default     = 5

  validation {
    condition     = var.max_instances >= 1 && var.max_instances <= 100
    error_message = "1 to 100."
  }
}

variable "notice_topic_urns" {
  description = "SMN topics of this project that bring share notices: CTS traces of the sharers, or our own events."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for urn in var.notice_topic_urns : can(regex("^urn:smn:[a-z-]+:[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_-]+$", urn))])
    error_message = "Each is a topic URN: urn:smn:<region>:<project ID>:<topic>."
  }
}

variable "alert_emails" {
  description = "Who hears of invocations that failed for good; each must confirm by mail."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+$", address))])
    error_message = "Expected mail addresses."
  }
}

variable "log_days" {
  description = "Days that the log is kept: it is the evidence of what was decided."
  type        = number
  default     = 30

  validation {
    condition     = var.log_days >= 1 && var.log_days <= 365
    error_message = "1 to 365."
  }
}
