variable "cloud" {
  description = "Entry of clouds.yaml that is scoped to the sharing project; null: OS_* variables."
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

variable "project" {
  description = "Name of the sharing project, such as eu-de_image-factory: where the function lives and the traces are written."
  type        = string

  validation {
    condition     = startswith(var.project, var.region)
    error_message = "A project's name begins with its region, such as eu-de_image-factory."
  }
}

variable "image_url" {
  description = "The container image in SWR: target sender of deploy/functiongraph/Containerfile."
  type        = string

  validation {
    condition     = can(regex("^swr\\.[a-z0-9.-]+/[a-z0-9._-]+/[a-z0-9._/-]+:[A-Za-z0-9._-]+$", var.image_url)) && !endswith(var.image_url, ":latest")
    error_message = "Expected swr.<region>.otc.t-systems.com/<organisation>/<image>:<tag>, and a tag that says which one it is: not latest."
  }
}

variable "sink" {
  description = "Where the receivers hear: the https URL of their broker, or smn:<topic urn> of a topic in notice_topic_urns of deploy/functiongraph."
  type        = string

  validation {
    condition     = can(regex("^https://\\S+$|^smn:urn:smn:[a-z-]+:[A-Za-z0-9_-]{1,64}:[A-Za-z0-9_-]+$", var.sink))
    error_message = "Expected https://<broker>/<path> or smn:urn:smn:<region>:<project ID>:<topic>."
  }
}

variable "sink_project" {
  description = "Name of the project that the topic lies in; null where the sink is a URL."
  type        = string
  default     = null

  validation {
    condition     = startswith(var.sink, "smn:") == (var.sink_project != null)
    error_message = "Name the project of the topic, and only of a topic."
  }
}

variable "receivers" {
  description = "IDs of the projects to tell of: those that are served behind the sink. Others would only be refused there."
  type        = list(string)

  validation {
    condition     = length(var.receivers) > 0 && length(var.receivers) <= 100 && alltrue([for id in var.receivers : can(regex("^[A-Za-z0-9_-]{1,64}$", id))])
    error_message = "1 to 100 project IDs, each 1 to 64 of A-Z a-z 0-9 _ - (console: My Credentials)."
  }
}

variable "name" {
  description = "Name of the function, and beginning of every other name."
  type        = string
  default     = "doorman-sender"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,38}[a-z0-9]$", var.name))
    error_message = "2 to 40 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "log_days" {
  description = "Days that the log is kept."
  type        = number
  default     = 7

  validation {
    condition     = var.log_days >= 1 && var.log_days <= 365
    error_message = "1 to 365."
  }
}
