locals {
  # What an administrator may do with a key; using it for data is not among it.
  administration = [
    "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:CreateGrant", "kms:DeleteAlias", "kms:DescribeKey",
    "kms:DisableKey", "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus",
    "kms:ListAliases", "kms:ListGrants", "kms:ListKeyPolicies", "kms:ListResourceTags", "kms:PutKeyPolicy",
    "kms:ReplicateKey", "kms:RevokeGrant", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias",
    "kms:UpdateKeyDescription", "kms:UpdatePrimaryRegion",
  ]
  use = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]

  regions = toset(concat([var.region], tolist(var.replica_regions)))
  pairs   = { for pair in setproduct(keys(var.keys), local.regions) : "${pair[0]}@${pair[1]}" => { purpose = pair[0], region = pair[1], key = var.keys[pair[0]] } }
  copies  = { for name, pair in local.pairs : name => pair if pair.region != var.region }

  # The same in every region but for the names of that region's services.
  policies = {
    for name, pair in local.pairs : name => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "AccountAdministers"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
          Action    = local.administration
          Resource  = "*"
        }],
        length(pair.key.via) == 0 ? [] : [{
          Sid       = "AccountUsesThroughServices"
          Effect    = "Allow"
          Principal = { AWS = "arn:aws:iam::${var.account_id}:root" }
          Action    = local.use
          Resource  = "*"
          Condition = {
            StringEquals = {
              "kms:CallerAccount" = var.account_id
              "kms:ViaService"    = [for service in sort(pair.key.via) : "${service}.${pair.region}.amazonaws.com"]
            }
          }
        }],
        length(pair.key.principals) == 0 ? [] : [{
          Sid       = "ServicesUse"
          Effect    = "Allow"
          Principal = { Service = sort(pair.key.principals) }
          Action    = local.use
          Resource  = "*"
          Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
        }],
        [for statement in [
          {
            Sid       = "RolesUse"
            Effect    = "Allow"
            Principal = { AWS = sort(pair.key.roles) }
            Action    = local.use
            Resource  = "*"
          },
          {
            Sid       = "RolesHandOnToServices"
            Effect    = "Allow"
            Principal = { AWS = sort(pair.key.roles) }
            Action    = ["kms:CreateGrant"]
            Resource  = "*"
            Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
          },
        ] : statement if length(pair.key.roles) > 0],
      )
    })
  }
}

resource "aws_kms_key" "this" {
  for_each = var.keys

  description             = "${var.name}: ${each.value.description}"
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.deletion_window_days
  multi_region            = length(var.replica_regions) > 0
  policy                  = local.policies["${each.key}@${var.region}"]
  tags                    = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

# The same key in another region: what was encrypted here can be read there when this region is gone. It rotates with
# its original.
resource "aws_kms_replica_key" "this" {
  for_each = local.copies

  region                  = each.value.region
  primary_key_arn         = aws_kms_key.this[each.value.purpose].arn
  description             = "${var.name}: ${each.value.key.description}"
  deletion_window_in_days = var.deletion_window_days
  policy                  = local.policies[each.key]
  tags                    = merge(var.tags, { Name = "${var.name}-${each.value.purpose}" })
}

resource "aws_kms_alias" "this" {
  for_each = var.keys

  name          = "alias/${var.name}/${each.key}"
  target_key_id = aws_kms_key.this[each.key].id
}

resource "aws_kms_alias" "replica" {
  for_each = local.copies

  region        = each.value.region
  name          = "alias/${var.name}/${each.value.purpose}"
  target_key_id = aws_kms_replica_key.this[each.key].id
}
