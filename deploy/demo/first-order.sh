# A first order: log in, take the first variant that is in stock, order one, wait until it is paid.
shop=@GATEWAY@
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }
token=$(curl -fsS "$shop/api/v1/auth/login" -H 'content-type: application/json' \
  -d '{"email":"shopper@demo.stoa.test","password":"@PASSWORD@"}' | field access_token)
variant=$(curl -fsS "$shop/api/v1/products?in_stock=true&limit=1" | grep -o 'var_[0-9a-z]*' | head -n 1)
order=$(curl -fsS "$shop/api/v1/orders" -H "authorization: Bearer $token" -H 'content-type: application/json' \
  -H "idempotency-key: $(date +%s)-$RANDOM" -d '{
    "lines": [{"variant_id": "'"$variant"'", "quantity": 1}], "currency": "EUR",
    "shipping_address": {"name": "Ada Shopper", "line1": "1 Harbour Street", "city": "Porto", "postal_code": "4000-001", "country": "PT"},
    "payment_method": {"token": "tok_ok"}}' | grep -o 'ord_[0-9a-z]*' | head -n 1)
for attempt in $(seq 50); do
  status=$(curl -fsS "$shop/api/v1/orders/$order" -H "authorization: Bearer $token" | field status)
  echo "$order is $status"
  [ "$status" = pending ] || break
  sleep 0.2
done
