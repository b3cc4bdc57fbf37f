import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.math.BigInteger;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.URL;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.PrivateKey;
import java.security.SecureRandom;
import java.security.Security;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.Hashtable;
import java.util.List;

import org.bouncycastle.asn1.ASN1Encodable;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DEROctetString;
import org.bouncycastle.asn1.DERPrintableString;
import org.bouncycastle.asn1.DERSequence;
import org.bouncycastle.asn1.DERSet;
import org.bouncycastle.asn1.cms.Attribute;
import org.bouncycastle.asn1.cms.AttributeTable;
import org.bouncycastle.asn1.cms.IssuerAndSerialNumber;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.KeyUsage;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.X509v1CertificateBuilder;
import org.bouncycastle.cert.jcajce.JcaX509v1CertificateBuilder;
import org.bouncycastle.cms.CMSAlgorithm;
import org.bouncycastle.cms.CMSEnvelopedData;
import org.bouncycastle.cms.CMSEnvelopedDataGenerator;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.DefaultSignedAttributeTableGenerator;
import org.bouncycastle.cms.RecipientInformation;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.cms.jcajce.JcaSimpleSignerInfoVerifierBuilder;
import org.bouncycastle.cms.jcajce.JceCMSContentEncryptorBuilder;
import org.bouncycastle.cms.jcajce.JceKeyTransEnvelopedRecipient;
import org.bouncycastle.cms.jcajce.JceKeyTransRecipientInfoGenerator;
import org.bouncycastle.cert.jcajce.JcaX509CertificateConverter;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequestBuilder;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;
import org.bouncycastle.util.CollectionStore;
import org.bouncycastle.util.Store;

/** Enrols, is refused, renews and looks up, or polls; prints a line for each. */
public final class ScepClient {
    private static final String VERISIGN = "2.16.840.1.113733.1.9.";
    /** Servers bound their request lines; a certificate signed with ML-DSA is longer. */
    private static final int LONGEST_IN_A_QUERY = 5000;
    private static final int POLLS = 60;
    private static final long BETWEEN_POLLS = 500;
    private static final SecureRandom RANDOM = new SecureRandom();

    private final String url;
    private final X500Name subject;
    private KeyPair keys;
    private X509CertificateHolder certificate;
    private X509CertificateHolder encryption;
    private X509CertificateHolder authority;
    private String transaction;

    private ScepClient(String url, String name) throws Exception {
        this.url = url;
        this.subject = new X500Name("CN=" + name);
        this.keys = generate();
        this.certificate = selfSigned(keys);
    }

    /** Arguments: URL, common name, challenge password, and "poll" for who has to wait. */
    public static void main(String[] words) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        ScepClient client = new ScepClient(words[0], words[1]);
        client.findAuthority();
        if (words.length > 3) {
            client.waitForApproval(words[2]);
            return;
        }
        String wrong = client.enrol("19", "not " + words[2], false, client.keys);
        System.out.println("wrong password: " + wrong);
        System.out.println("enrolled: " + client.enrol("19", words[2], false, client.keys));
        KeyPair fresh = generate();
        System.out.println("renewed: " + client.enrol("17", null, true, fresh));
        client.lookUp();
    }

    /** Asks once, and then by CertPoll in the same transaction until somebody decided. */
    private void waitForApproval(String password) throws Exception {
        System.out.println("asked: " + enrol("19", password, false, keys));
        byte[] content = new DERSequence(
            new ASN1Encodable[] {authority.getSubject(), subject}).getEncoded();
        String found = "pending";
        for (int poll = 0; poll < POLLS && found.equals("pending"); poll++) {
            Thread.sleep(BETWEEN_POLLS);
            found = outcome(ask("20", content, poll % 2 == 0));
        }
        System.out.println("polled: " + found);
    }

    private static KeyPair generate() throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
        generator.initialize(2048);
        return generator.generateKeyPair();
    }

    private X509CertificateHolder selfSigned(KeyPair pair) throws Exception {
        long now = System.currentTimeMillis();
        X509v1CertificateBuilder builder = new JcaX509v1CertificateBuilder(
            subject, BigInteger.ONE, new Date(now - 3600_000), new Date(now + 86400_000), subject,
            pair.getPublic());
        return builder.build(signer(pair.getPrivate()));
    }

    private static ContentSigner signer(PrivateKey key) throws Exception {
        return new JcaContentSignerBuilder("SHA256withRSA").setProvider("BC").build(key);
    }

    private void findAuthority() throws Exception {
        byte[] answer = http("GetCACert", null, null);
        List<X509CertificateHolder> found = new ArrayList<>();
        try {
            found.addAll(certificatesOf(new CMSSignedData(answer)));
        } catch (Exception single) {
            found.add(new X509CertificateHolder(answer));
        }
        for (X509CertificateHolder one : found) {
            KeyUsage usage = KeyUsage.fromExtensions(one.getExtensions());
            if (usage != null && usage.hasUsages(KeyUsage.keyEncipherment)) {
                encryption = one;
            }
        }
        if (encryption == null) {
            encryption = found.get(0);
            authority = found.get(0);
        } else {
            for (X509CertificateHolder one : found) {
                if (one.getSubject().equals(encryption.getIssuer())) {
                    authority = one;
                }
            }
        }
    }

    private String enrol(String type, String password, boolean get, KeyPair pair)
            throws Exception {
        PKCS10CertificationRequestBuilder request =
            new JcaPKCS10CertificationRequestBuilder(subject, pair.getPublic());
        if (password != null) {
            request.addAttribute(
                PKCSObjectIdentifiers.pkcs_9_at_challengePassword,
                new DERPrintableString(password));
        }
        byte[] content = request.build(signer(pair.getPrivate())).getEncoded();
        transaction = "java-" + System.nanoTime();
        String found = outcome(ask(type, content, get));
        keys = pair;
        return found;
    }

    private String outcome(CMSSignedData reply) throws Exception {
        if ("3".equals(text(reply, "3"))) {
            return "pending";
        }
        if (!"0".equals(text(reply, "3"))) {
            return "refused with failInfo " + text(reply, "4");
        }
        for (X509CertificateHolder one : certificatesOf(new CMSSignedData(opened(reply)))) {
            certificate = one;
        }
        return certificate.getSubject().toString();
    }

    private void lookUp() throws Exception {
        byte[] content = new IssuerAndSerialNumber(
            certificate.getIssuer(), certificate.getSerialNumber()).getEncoded();
        CMSSignedData found = new CMSSignedData(opened(ask("21", content, false)));
        System.out.println("found: " + certificatesOf(found).contains(certificate));
        CMSSignedData crls = new CMSSignedData(opened(ask("22", content, false)));
        for (Object one : crls.getCRLs().getMatches(null)) {
            System.out.println("crl by: " + ((X509CRLHolder) one).getIssuer());
        }
    }

    private CMSSignedData ask(String type, byte[] content, boolean get) throws Exception {
        CMSEnvelopedDataGenerator sealing = new CMSEnvelopedDataGenerator();
        sealing.addRecipientInfoGenerator(
            new JceKeyTransRecipientInfoGenerator(
                new JcaX509CertificateConverter().getCertificate(encryption)).setProvider("BC"));
        byte[] envelope = sealing.generate(
            new CMSProcessableByteArray(content),
            new JceCMSContentEncryptorBuilder(CMSAlgorithm.AES128_CBC).setProvider("BC").build())
            .getEncoded();
        byte[] nonce = new byte[16];
        RANDOM.nextBytes(nonce);
        Hashtable<ASN1ObjectIdentifier, Attribute> values = new Hashtable<>();
        put(values, "2", new DERPrintableString(type));
        put(values, "7", new DERPrintableString(transaction));
        put(values, "5", new DEROctetString(nonce));
        CMSSignedDataGenerator signing = new CMSSignedDataGenerator();
        signing.addSignerInfoGenerator(
            new JcaSignerInfoGeneratorBuilder(
                new JcaDigestCalculatorProviderBuilder().setProvider("BC").build())
                .setSignedAttributeGenerator(
                    new DefaultSignedAttributeTableGenerator(new AttributeTable(values)))
                .build(signer(keys.getPrivate()), certificate));
        signing.addCertificates(new CollectionStore<>(List.of(certificate)));
        byte[] message =
            signing.generate(new CMSProcessableByteArray(envelope), true).getEncoded();
        CMSSignedData reply = new CMSSignedData(
            get && message.length < LONGEST_IN_A_QUERY
                ? http("PKIOperation", message, null)
                : http("PKIOperation", null, message));
        verify(reply, nonce);
        return reply;
    }

    private static void put(
            Hashtable<ASN1ObjectIdentifier, Attribute> values, String last, ASN1Encodable value) {
        ASN1ObjectIdentifier oid = new ASN1ObjectIdentifier(VERISIGN + last);
        values.put(oid, new Attribute(oid, new DERSet(value)));
    }

    private static SignerInformation only(CMSSignedData message) {
        return message.getSignerInfos().getSigners().iterator().next();
    }

    private static String text(CMSSignedData message, String last) {
        Attribute found =
            only(message).getSignedAttributes().get(new ASN1ObjectIdentifier(VERISIGN + last));
        return DERPrintableString.getInstance(found.getAttrValues().getObjectAt(0)).getString();
    }

    private void verify(CMSSignedData reply, byte[] nonce) throws Exception {
        Collection<?> signers = reply.getCertificates().getMatches(only(reply).getSID());
        X509CertificateHolder signer = (X509CertificateHolder) signers.iterator().next();
        boolean holds = only(reply).verify(
            new JcaSimpleSignerInfoVerifierBuilder().setProvider("BC").build(signer));
        Attribute repeated =
            only(reply).getSignedAttributes().get(new ASN1ObjectIdentifier(VERISIGN + "6"));
        byte[] octets = DEROctetString.getInstance(
            repeated.getAttrValues().getObjectAt(0)).getOctets();
        if (!holds || !signer.equals(encryption) || !java.util.Arrays.equals(nonce, octets)) {
            throw new IllegalStateException("the answer is not by the authority, or not to us");
        }
    }

    private byte[] opened(CMSSignedData reply) throws Exception {
        byte[] content = (byte[]) reply.getSignedContent().getContent();
        RecipientInformation recipient =
            new CMSEnvelopedData(content).getRecipientInfos().getRecipients().iterator().next();
        return recipient.getContent(
            new JceKeyTransEnvelopedRecipient(keys.getPrivate()).setProvider("BC"));
    }

    private static Collection<X509CertificateHolder> certificatesOf(CMSSignedData message) {
        Store<X509CertificateHolder> store = message.getCertificates();
        return store.getMatches(null);
    }

    private byte[] http(String operation, byte[] query, byte[] body) throws Exception {
        String target = url + "?operation=" + operation;
        if (query != null) {
            String text = Base64.getEncoder().encodeToString(query);
            target += "&message=" + URLEncoder.encode(text, StandardCharsets.UTF_8);
        }
        URL address = URI.create(target).toURL();
        HttpURLConnection connection = (HttpURLConnection) address.openConnection();
        if (body != null) {
            connection.setDoOutput(true);
            connection.setRequestProperty("Content-Type", "application/x-pki-message");
            try (OutputStream out = connection.getOutputStream()) {
                out.write(body);
            }
        }
        try (InputStream in = connection.getInputStream()) {
            ByteArrayOutputStream octets = new ByteArrayOutputStream();
            in.transferTo(octets);
            return octets.toByteArray();
        }
    }
}
