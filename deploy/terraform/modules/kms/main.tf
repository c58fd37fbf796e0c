locals {
  # What an administrator may do with a key; using it for data is not among it.
  administration = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:DescribeKey",
    "kms:DisableKey", "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
    "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy",
    "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]
  use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
}

resource "aws_kms_key" "this" {
  for_each = var.keys

  description             = "${var.name}: ${each.value.description}"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.deletion_window_days
  tags                    = merge(var.tags, { Name = "${var.name}-${each.key}" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid       = "AccountAdministers"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = local.administration
        Resource  = "*"
      }],
      length(each.value.via) == 0 ? [] : [{
        Sid       = "AccountUsesThroughServices"
        Effect    = "Allow"
        Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
        Action    = local.use
        Resource  = "*"
        Condition = {
          StringEquals = {
            "kms:CallerAccount" = var.account_id
            "kms:ViaService"    = [for service in sort(each.value.via) : "${service}.${var.region}.amazonaws.com"]
          }
        }
      }],
      length(each.value.principals) == 0 ? [] : [{
        Sid       = "ServicesUse"
        Effect    = "Allow"
        Principal = { Service = sort(each.value.principals) }
        Action    = local.use
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
      }],
      [for statement in [
        {
          Sid       = "RolesUse"
          Effect    = "Allow"
          Principal = { AWS = sort(each.value.roles) }
          Action    = local.use
          Resource  = "*"
        },
        {
          Sid       = "RolesHandOnToServices"
          Effect    = "Allow"
          Principal = { AWS = sort(each.value.roles) }
          Action    = ["kms:CreateGrant"]
          Resource  = "*"
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
      ] : statement if length(each.value.roles) > 0],
    )
  })
}

resource "aws_kms_alias" "this" {
  for_each = var.keys

  name          = "alias/${var.name}/${each.key}"
  target_key_id = aws_kms_key.this[each.key].id
}
