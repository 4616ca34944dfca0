package campaign

import (
	"strings"
	"testing"
)

// TestAddressColumnIsGuessed by the names that people give it, in the languages
// of those who send most; of several, the one for mobile phones.
func TestAddressColumnIsGuessed(t *testing.T) {
	t.Parallel()
	for _, headers := range []string{
		"Phone|Mobile|WhatsApp Number|Cell phone|Phone (home)|Customer mobile no",
		"Mobilnummer|Handynummer|Rufnummer|Mobil|Handy|Telefon|Telefonnummer|Mobilfunknummer|Handy-Nr.|HandyNr|Tel.-Nr.|Mobiltelefon|WhatsApp-Nummer",
		"Teléfono|Móvil|Celular|Número de teléfono|Teléfono móvil|N.º de celular|Número de WhatsApp",
		"Telefone|Telemóvel|Número do celular|Número de telefone|Telefone celular|Nº de telemóvel",
		"Téléphone|Portable|Numéro de téléphone|Téléphone portable|N° de portable|Mobile|GSM|Tél.",
		"Telefono|Cellulare|Numero di telefono|Numero di cellulare|N. cellulare|Telefono cellulare",
		"Nomor HP|No. HP|No HP|HP|Nomor Telepon|No. Telp|Telepon|Nomor WA|No WA|WA|Ponsel|Nomor ponsel|No. Handphone|Nomor WhatsApp",
		"Mobail|Mobail nambar|Mobile nambar|Phone nambar",
	} {
		for header := range strings.SplitSeq(headers, "|") {
			r := mustOpen(t, "Name;"+header+";Note\na;+12015550101;b\n", Source{})
			if i, kind, guessed := r.AddressColumn(); i != 1 || kind != AddressPhone || !guessed {
				t.Errorf("%q: column %d, %s, guessed %t", header, i, kind, guessed)
			}
		}
	}
	for _, both := range []string{"Telefon;Mobilnummer", "Telefono;Cellulare", "Telefone;Celular", "Telepon;No. HP", "Teléfono fijo;Teléfono móvil"} {
		r := mustOpen(t, both+"\n1;2\n", Source{})
		if i, _, _ := r.AddressColumn(); i != 1 {
			t.Errorf("of %q, column %d is guessed", both, i)
		}
	}
	for _, header := range []string{"Kundennummer", "Número", "Hotel", "Automobil", "HP-Drucker", "Wattage"} {
		rows := strings.NewReader("Name;" + header + "\na;+12015550101\n")
		if r, err := OpenSource(Source{CSV: "-"}, "", rows, Limits{}); err == nil {
			i, _, _ := r.AddressColumn()
			t.Errorf("%q: column %d is guessed", header, i)
		}
	}
}
