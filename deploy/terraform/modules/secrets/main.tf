# The places of the values, without the values: an operator writes those once (deploy/terraform/fill-secrets), so that
# neither a plan nor a state ever holds one, and no later apply needs to know them.
resource "aws_secretsmanager_secret" "this" {
  for_each = var.secrets

  name                           = "${var.name}/${each.key}"
  description                    = each.value
  kms_key_id                     = var.kms_key_arn
  recovery_window_in_days        = var.recovery_days
  force_overwrite_replica_secret = false
  tags                           = var.tags

  # A replica follows its original and is read in its own region, whatever becomes of this one.
  dynamic "replica" {
    for_each = var.replica_key_arns

    content {
      region     = replica.key
      kms_key_id = replica.value
    }
  }
}
