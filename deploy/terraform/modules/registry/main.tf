locals {
  regions = sort(keys(var.replica_key_arns))

  life_cycle = jsonencode({
    rules = [
      {
        rulePriority = 1
        description  = "Layers without a tag are left over from a push."
        selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
        action       = { type = "expire" }
      },
      {
        rulePriority = 2
        description  = "Releases to roll back to."
        selection    = { tagStatus = "tagged", tagPatternList = ["v*"], countType = "imageCountMoreThan", countNumber = var.release_count }
        action       = { type = "expire" }
      },
    ]
  })
}

resource "aws_ecr_repository" "this" {
  for_each = var.images

  name                 = "${var.name}/${each.key}"
  image_tag_mutability = "IMMUTABLE"
  force_delete         = false
  tags                 = merge(var.tags, { image = each.key })

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }

  image_scanning_configuration {
    scan_on_push = true
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name

  policy = local.life_cycle
}

resource "aws_ecr_repository_policy" "pull" {
  for_each = length(var.pull_account_ids) == 0 ? {} : aws_ecr_repository.this

  repository = each.value.name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OtherAccountsPull"
      Effect    = "Allow"
      Principal = { AWS = [for account in sort(var.pull_account_ids) : "arn:aws:iam::${account}:root"] }
      Action    = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    }]
  })
}

# What is pushed here is copied to the other regions by ECR, digest and all. There is one such setting in a registry.
resource "aws_ecr_replication_configuration" "this" {
  for_each = length(local.regions) == 0 ? toset([]) : toset([var.name])

  replication_configuration {
    rule {
      dynamic "destination" {
        for_each = local.regions

        content {
          region      = destination.value
          registry_id = var.account_id
        }
      }

      repository_filter {
        filter      = "${each.key}/"
        filter_type = "PREFIX_MATCH"
      }
    }
  }

  depends_on = [aws_ecr_repository_creation_template.replica]
}

# ECR makes the repositories there by itself; without a template they would be mutable and under a key of its own.
resource "aws_ecr_repository_creation_template" "replica" {
  for_each = var.replica_key_arns

  region               = each.key
  prefix               = var.name
  description          = "Copies of ${var.name}"
  applied_for          = ["REPLICATION"]
  image_tag_mutability = "IMMUTABLE"
  lifecycle_policy     = local.life_cycle
  custom_role_arn      = aws_iam_role.replica[var.name].arn
  resource_tags        = var.tags

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = each.value
  }

  depends_on = [aws_iam_role_policy.replica]
}

resource "aws_iam_role" "replica" {
  for_each = length(local.regions) == 0 ? toset([]) : toset([var.name])

  name        = "${each.key}-copies"
  description = "Makes the repositories that copies go to."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecr.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "replica" {
  for_each = aws_iam_role.replica

  name = "make-repositories"
  role = each.value.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "MakeThem"
        Effect   = "Allow"
        Action   = ["ecr:CreateRepository", "ecr:PutLifecyclePolicy", "ecr:ReplicateImage", "ecr:TagResource"]
        Resource = [for region in local.regions : "arn:aws:ecr:${region}:${var.account_id}:repository/${var.name}/*"]
      },
      {
        Sid      = "EncryptThem"
        Effect   = "Allow"
        Action   = ["kms:CreateGrant", "kms:DescribeKey", "kms:RetireGrant"]
        Resource = [for region in local.regions : var.replica_key_arns[region]]
      },
    ]
  })
}
