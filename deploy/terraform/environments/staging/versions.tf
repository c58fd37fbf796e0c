terraform {
  required_version = ">= 1.11.0"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "6.66.0"
    }
  }

  # The bucket is named when it is told (init -backend-config=bucket=…): a backend takes no variables. The lock file in
  # the bucket is the current way to lock; the table is the older one, for programs that know no other.
  backend "s3" {
    key            = "staging/terraform.tfstate"
    region         = "eu-west-1"
    encrypt        = true
    use_lockfile   = true
    dynamodb_table = "stoa-terraform-lock"
  }
}
