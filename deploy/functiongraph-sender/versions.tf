terraform {
  # 1.9: a variable's validation may look at other variables
  required_version = ">= 1.9"

  required_providers {
    opentelekomcloud = {
      source = "opentelekomcloud/opentelekomcloud"
      # 1.36.50: enable_auth_in_header can be set
      version = ">= 1.36.50, < 2.0.0"
    }
  }
}

# The project that the function lives in: an entry of clouds.yaml, or OS_* variables where none is named.
provider "opentelekomcloud" {
  cloud = var.cloud
}

# The same account without a project: the provider makes roles and agencies only so.
provider "opentelekomcloud" {
  alias = "account"
  cloud = var.account_cloud
}
