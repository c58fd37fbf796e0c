output "vpc_id" {
  description = "The network."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Its addresses."
  value       = aws_vpc.this.cidr_block
}

output "subnet_ids" {
  description = "Subnets by tier (private, public, data), in the order of the zones."
  value       = { for tier in ["private", "public", "data"] : tier => [for zone in var.availability_zones : aws_subnet.this["${tier}-${zone}"].id] }
}

output "nat_addresses" {
  description = "Public addresses that calls to the world come from, by zone; what a payment provider lists."
  value       = { for zone, address in aws_eip.nat : zone => address.public_ip }
}
