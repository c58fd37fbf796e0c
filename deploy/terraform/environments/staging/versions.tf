terraform {
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.66.0"
    }
  }

  # A backend takes no variables: the bucket of bootstrap/ is named here. The lock file in the bucket is the current
  # way to lock; the table is the older one, for programs that know no other.
  backend "s3" {
    bucket         = "stoa-terraform-000000000000"
    key            = "staging/terraform.tfstate"
    region         = "eu-west-1"
    encrypt        = true
    use_lockfile   = true
    dynamodb_table = "stoa-terraform-lock"
  }
}
